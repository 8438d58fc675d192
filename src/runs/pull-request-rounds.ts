import { CcwError } from "../domain/errors.ts";
import type { ForgeApi } from "../domain/forge.ts";
import type { PullRequest, PullRequestRound } from "../domain/pull-request.ts";
import { countText, newFindings, promptOf } from "../domain/pull-request-prompt.ts";
import type { RemoteRepository } from "../domain/repository.ts";
import type { TaskRow } from "../domain/store/tasks.ts";
import type { Store } from "../domain/store.ts";
import { isDone } from "../domain/task.ts";
import { eventOf, type PullRequestContext } from "./pull-request-context.ts";
import { lastWords, tipOf } from "./pull-request-offer.ts";
import { addPrompt } from "./steer.ts";

interface Place {
  api: ForgeApi;
  repository: RemoteRepository;
}

/** Ids of what was handed to the agent; older ones are not asked about any more. */
const maxSeen = 2000;
/** How long a forge may take until it shows a push. */
const maxLagMs = 10 * 60_000;

/**
 * A followed pull request goes in rounds: what is new becomes one prompt; once its work is pushed, those who asked get
 * an answer; then comes the next. So what arrives meanwhile is taken together, and a loop is as slow as the work.
 */
export async function goThroughRound(
  context: PullRequestContext,
  place: Place,
  pullRequest: PullRequest,
): Promise<void> {
  const { round } = pullRequest.follow;
  if (round !== undefined) {
    if (!isOver(context, pullRequest, round)) return;
    await answer(context, place, pullRequest, round);
  }
  const now = context.store.pullRequests.get(pullRequest.id);
  if (now?.follow.on === true && now.follow.round === undefined) await nextRound(context, now);
}

export function stopFollowing(store: Store, pullRequest: PullRequest, reason: string): void {
  const { id, taskId } = pullRequest;
  const follow = store.pullRequests.get(id)?.follow ?? pullRequest.follow;
  store.pullRequests.update(id, { follow: { ...follow, on: false, round: undefined, stopped: reason } });
  const detail = `is not followed any more: ${reason}`;
  store.events.append(taskId, { kind: "pull_request_updated", ...eventOf(pullRequest, undefined), detail });
}

/** Whether nothing more comes of the prompt: its turn has ended and is pushed, or its task has ended. */
function isOver(
  { store, ids }: PullRequestContext,
  { taskId, headCommit, repository }: PullRequest,
  round: PullRequestRound,
): boolean {
  const task = store.tasks.get(taskId);
  const prompt = store.prompts.list(taskId).find(({ id }) => id === round.promptId);
  if (task === undefined || prompt === undefined || prompt.state === "removed") return true;
  const moved = headCommit !== round.commit;
  if (!isDone(task.state.kind)) {
    const turns = store.events.ofKinds(taskId, ["turn_ended"]);
    return moved && turns.some(({ body }) => body.kind === "turn_ended" && body.promptId === round.promptId);
  }
  const pushes = store.events.ofKinds(taskId, ["pushed"]).map(({ body }) => body);
  const last = pushes.findLast((body) => body.kind === "pushed" && body.repository === repository);
  const shown = last?.kind !== "pushed" || last.commit === headCommit;
  return moved || shown || ids.now() - task.updatedAt > maxLagMs;
}

/** Says to those who asked where the work is. What was said already, by a server that died then, is not said twice. */
async function answer(
  { store, log, publicUrl }: PullRequestContext,
  { api, repository }: Place,
  pullRequest: PullRequest,
  round: PullRequestRound,
): Promise<void> {
  const { id, taskId, number, headCommit, comments } = pullRequest;
  const commit = headCommit.slice(0, 10);
  const url = publicUrl() === "" ? "" : ` ([task](${publicUrl()}/tasks/${taskId}))`;
  if (headCommit !== round.commit) {
    for (const thread of round.threads) {
      const said = ({ own, thread: where, body }: (typeof comments)[number]) =>
        own && where === thread && body.includes(commit);
      if (comments.some(said)) continue;
      try {
        await api.reply(repository.path, number, thread, `Worked on in ${headCommit}${url}.`);
      } catch (thrown) {
        if (!(thrown instanceof CcwError)) throw thrown;
        if (thrown.code === "unavailable" || thrown.code === "rate_limited") throw thrown;
        log.warn("a comment could not be answered", { pullRequest: id, reason: thrown.message });
        const text = `A comment could not be answered: ${thrown.message} ${thrown.hint}`.trim();
        store.events.append(taskId, { kind: "appliance_notice", level: "warning", text });
      }
    }
  }
  const follow = store.pullRequests.get(id)?.follow ?? pullRequest.follow;
  store.pullRequests.update(id, { follow: { ...follow, round: undefined } });
}

async function nextRound(context: PullRequestContext, pullRequest: PullRequest): Promise<void> {
  const { store, host, ids } = context;
  const { id, taskId, repository, head, headCommit } = pullRequest;
  const task = store.tasks.get(taskId);
  if (task === undefined) return;
  if (task.state.kind === "failed" || task.state.kind === "cancelled")
    return stopFollowing(store, pullRequest, `The task is ${task.state.kind}.`);
  const findings = newFindings(pullRequest);
  if (findings.checks.length + findings.comments.length === 0) return;
  // What the other checks find is taken together with it.
  if (findings.comments.length === 0 && pullRequest.checks.some(({ state }) => state === "pending")) return;
  const gone = await tipOf(host, repository, head).then(
    (tip) => tip === undefined,
    () => false,
  );
  if (gone) return stopFollowing(store, pullRequest, `The branch ${head} was deleted.`);

  store.atomically(() => {
    const { follow } = store.pullRequests.get(id) ?? pullRequest;
    if (!follow.on || follow.round !== undefined) return;
    if (follow.rounds >= follow.maxRounds) {
      const reason = `All ${follow.maxRounds} rounds are used up, and there is more: ${countText(findings)}.`;
      return stopFollowing(store, pullRequest, reason);
    }
    const state = store.tasks.stateOf(taskId)?.kind;
    // What was paused or stopped waits for a person.
    if (state === undefined || state === "paused" || state === "failed" || state === "cancelled") return;
    const remembers = store.sandboxes.current(taskId) ?? store.snapshots.last(taskId);
    const text = promptOf(pullRequest, findings, remembers === undefined ? before(store, task) : undefined);
    const name = `pull request #${pullRequest.number}`;
    const promptId = addPrompt(store, ids, taskId, { ...task.person, name }, { text });
    const rounds = follow.rounds + 1;
    const found = [...findings.checks, ...findings.comments].map((each) => each.id);
    const threads = [...new Set(findings.comments.map(({ thread }) => thread))];
    const round = { promptId, threads, commit: headCommit };
    const seen = [...follow.seen, ...found].slice(-maxSeen);
    store.pullRequests.update(id, { follow: { ...follow, rounds, seen, round } });
    const detail = `has ${countText(findings)}: handed to the agent, round ${rounds} of ${follow.maxRounds}`;
    store.events.append(taskId, { kind: "pull_request_updated", ...eventOf(pullRequest, undefined), detail });
  });
}

function before(store: Store, task: TaskRow) {
  return { prompt: store.prompts.list(task.id)[0]?.text ?? "", summary: lastWords(store, task) };
}
