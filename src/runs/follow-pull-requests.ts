import { isDeepStrictEqual } from "node:util";
import { CcwError, messageOf } from "../domain/errors.ts";
import type { ForgeComment } from "../domain/forge.ts";
import type { PullRequestId } from "../domain/ids.ts";
import { nameOf, notFollowed, type PullRequest } from "../domain/pull-request.ts";
import type { Person } from "../domain/store/people.ts";
import { isDone } from "../domain/task.ts";
import { eventOf, notConnected, type PullRequestContext } from "./pull-request-context.ts";
import { goThroughRound, stopFollowing } from "./pull-request-rounds.ts";

/**
 * Keeps what is known of open pull requests like what their forges say, by polling with conditional requests, and has
 * those that are followed worked on. All of it stands in the rows: after a restart it goes on where it was.
 */
export interface PullRequestFollower {
  start(): void;
  close(): Promise<void>;
  /** Its forge says that something has happened in this repository: what is open there is looked at soon. */
  changed(repository: string): void;
  /** A person looks at it: it is kept fresh for a while. */
  lookedAt(id: PullRequestId): void;
  /** Switches it to being followed, or not any more. A person who starts it anew gives it new rounds. */
  follow(
    id: PullRequestId,
    by: Person,
    wanted: { on: boolean; maxRounds?: number | undefined },
  ): Promise<PullRequest>;
}

export interface FollowTimes {
  /** Between two looks at what is followed or looked at. */
  shortMs: number;
  /** Between two looks at what does not change. */
  longMs: number;
  /** From a forge's word that something has happened to the look: it sends several in a burst. */
  burstMs: number;
  /** How often it is seen what is due. */
  tickMs: number;
}

const usualTimes: FollowTimes = { shortMs: 60_000, longMs: 600_000, burstMs: 3000, tickMs: 2000 };
const answerMs = 10_000;
const parallel = 3;
const maxPolled = 500;
/** Further comments are neither kept nor acted on. */
const maxComments = 200;
const maxCommentText = 8 * 1024;
const maxCheckText = 8 * 1024;

export function createPullRequestFollower(
  context: PullRequestContext,
  { shortMs, longMs, burstMs, tickMs }: FollowTimes = usualTimes,
): PullRequestFollower {
  const { store, forgeOf, ids, log } = context;
  const stopped = new AbortController();
  /** When each is due, and how long after its last look that is. */
  const due = new Map<PullRequestId, { at: number; pauseMs: number }>();
  const looked = new Map<PullRequestId, number>();
  const polling = new Map<PullRequestId, Promise<boolean>>();
  /** A forge that wants to be left alone, by its name. */
  const held = new Map<string, { until: number; pauseMs: number }>();

  /** Undefined for what has no API any more; a forge that cannot be spoken to holds up none of the others. */
  const placeOf = ({ repository: name }: PullRequest) => {
    try {
      const repository = store.repositories.get(name);
      const api = repository && forgeOf(repository);
      return repository?.kind === "remote" && api !== undefined ? { api, repository } : undefined;
    } catch (thrown) {
      log.warn("a forge cannot be spoken to", { repository: name, reason: messageOf(thrown) });
      return undefined;
    }
  };

  /** Looks once. Whether anything had changed; rejects where the forge could not be asked. */
  async function look(id: PullRequestId): Promise<boolean> {
    const before = store.pullRequests.get(id);
    const place = before && placeOf(before);
    if (before === undefined || before.state !== "open" || place === undefined) return false;
    const { api, repository } = place;
    const found = await api.pullRequest(repository.path, before.number);
    const { headCommit } = found.changed ? found.value : before;
    const checks = await api.checks(repository.path, headCommit);
    const comments = await api.comments(repository.path, before.number);
    return store.atomically(() => {
      // What a person did meanwhile stays.
      const now = store.pullRequests.get(id) ?? before;
      const { title, body, draft, state, base, head, webUrl } = found.changed ? found.value : now;
      const change = {
        ...{ title, body, draft, state, base, head, webUrl, headCommit, trouble: "" },
        checks: checks.changed
          ? checks.value.map((check) => ({ ...check, summary: check.summary.slice(0, maxCheckText) }))
          : headCommit === now.headCommit
            ? now.checks
            : [],
        comments: comments.changed ? newest(comments.value) : now.comments,
      };
      store.pullRequests.polled(id);
      if (isDeepStrictEqual({ ...now, ...change }, now)) return false;
      store.pullRequests.update(id, change);
      const after = { ...now, ...change };
      tellFailedChecks(now, after);
      if (state !== "open") {
        const kind = state === "merged" ? ("pull_request_merged" as const) : ("pull_request_closed" as const);
        store.events.append(now.taskId, { kind, ...eventOf(after, undefined) });
        if (now.follow.on) stopFollowing(store, after, `It was ${state}.`);
      }
      return true;
    });
  }

  /** Once for a commit, however many more of its checks fail. */
  function tellFailedChecks(before: PullRequest, after: PullRequest): void {
    const failedIn = ({ checks }: PullRequest) => checks.filter((check) => check.state === "failed");
    const failedChecks = failedIn(after).length;
    const known = before.headCommit === after.headCommit && failedIn(before).length > 0;
    if (known || failedChecks === 0 || after.state !== "open") return;
    const detail = `has ${failedChecks} failed check${failedChecks === 1 ? "" : "s"}`;
    store.events.append(after.taskId, {
      ...{ kind: "pull_request_updated", ...eventOf(after, undefined), detail, failedChecks },
    });
  }

  /** Looks, acts on what is new, and says when it is due again. Never rejects. */
  async function poll(pullRequest: PullRequest): Promise<boolean> {
    const { id, repository } = pullRequest;
    const forge = placeOf(pullRequest)?.repository.forge ?? "";
    const pauseMs = due.get(id)?.pauseMs ?? shortMs;
    const again = (pause: number) => due.set(id, { at: ids.now() + pause, pauseMs: pause });
    try {
      const changed = await look(id);
      held.delete(forge);
      const after = store.pullRequests.get(id);
      const place = after && placeOf(after);
      if (after?.state === "open" && after.follow.on && place !== undefined)
        await goThroughRound(context, place, after);
      if (after?.state !== "open") {
        due.delete(id);
        looked.delete(id);
        return true;
      }
      const isWatched = after.follow.on || ids.now() - (looked.get(id) ?? 0) < longMs;
      again(changed || isWatched ? shortMs : Math.min(longMs, pauseMs * 2));
      return true;
    } catch (thrown) {
      log.warn("a pull request cannot be looked at; trying again", {
        ...{ pullRequest: id, repository, reason: messageOf(thrown) },
      });
      again(Math.min(longMs, pauseMs * 2));
      if (!(thrown instanceof CcwError)) return false;
      const before = held.get(forge)?.pauseMs ?? shortMs / 2;
      if (thrown.code === "rate_limited") {
        const pause = Math.min(longMs, before * 2);
        held.set(forge, { until: ids.now() + pause, pauseMs: pause });
      }
      const trouble = `${thrown.message} ${thrown.hint} It is tried again.`.replace(/ +/g, " ");
      if (store.pullRequests.get(id)?.trouble !== trouble) store.pullRequests.update(id, { trouble });
      store.pullRequests.polled(id);
      return false;
    }
  }

  function begin(pullRequest: PullRequest): Promise<boolean> {
    const running = polling.get(pullRequest.id);
    if (running !== undefined) return running;
    const done = poll(pullRequest)
      .catch((thrown: unknown) => {
        log.error("a pull request could not be followed", { reason: messageOf(thrown) });
        return false;
      })
      .finally(() => polling.delete(pullRequest.id));
    polling.set(pullRequest.id, done);
    return done;
  }

  /** Whether the agent has ended its work on what came from here. */
  function isAnswered({ follow, taskId }: PullRequest): boolean {
    const state = follow.round && store.tasks.stateOf(taskId);
    return state !== undefined && isDone(state.kind);
  }

  function tick(): void {
    const now = ids.now();
    const isDue = (pullRequest: PullRequest) => {
      const { at, pauseMs } = due.get(pullRequest.id) ?? { at: 0, pauseMs: 0 };
      // Whoever asked for work is not kept waiting for the answer that it is done.
      const early = isAnswered(pullRequest) ? Math.max(0, pauseMs - answerMs) : 0;
      const hold = held.get(placeOf(pullRequest)?.repository.forge ?? "");
      // A clock that was set back must not hold anything for as long as that was.
      const reached = (time: number) => time <= now || time > now + 2 * longMs;
      return reached(at - early) && (hold === undefined || reached(hold.until));
    };
    try {
      for (const pullRequest of store.pullRequests.toPoll(maxPolled).filter(isDue)) {
        if (polling.size >= parallel || stopped.signal.aborted) return;
        void begin(pullRequest);
      }
    } catch (thrown) {
      log.error("pull requests cannot be read; trying again", { reason: messageOf(thrown) });
    }
  }

  let timer: Timer | undefined;
  return {
    start() {
      timer = setInterval(tick, tickMs);
      tick();
    },
    async close() {
      stopped.abort();
      clearInterval(timer);
      await Promise.all(polling.values());
    },
    changed(repository) {
      const open = store.pullRequests.list({ repository, states: ["open"], limit: maxPolled });
      for (const { id } of open) due.set(id, { at: ids.now() + burstMs, pauseMs: shortMs });
    },
    lookedAt(id) {
      looked.set(id, ids.now());
      const known = due.get(id);
      if (known !== undefined && known.pauseMs > shortMs)
        due.set(id, { at: known.at - known.pauseMs + shortMs, pauseMs: shortMs });
    },
    async follow(id, by, { on, maxRounds }) {
      const before = known(id);
      if (before.keptBy === "appliance" || before.state !== "open") {
        throw new CcwError(
          "conflict",
          before.keptBy === "appliance"
            ? `${nameOf(before)} is kept by the appliance: there are no checks or reviews that could be followed.`
            : `${nameOf(before)} is ${before.state}, so there is nothing to follow.`,
        );
      }
      if (on && placeOf(before) === undefined) throw notConnected(before);
      // What was said before is no work for the agent; so it has to be known.
      if (on && !before.follow.on && !(await begin(before))) {
        const { trouble } = known(id);
        throw new CcwError(
          "unavailable",
          `The forge cannot be asked: ${trouble || "it is busy."}`,
          "Try again.",
        );
      }
      return store.atomically(() => {
        const now = known(id);
        const rounds = maxRounds ?? now.follow.maxRounds;
        const begins = on && !now.follow.on;
        const { seen } = now.follow;
        const follow = {
          ...notFollowed,
          ...{ on, maxRounds: rounds, round: now.follow.round, rounds: begins ? 0 : now.follow.rounds },
          seen: begins ? [...new Set([...seen, ...now.comments.map((comment) => comment.id)])] : seen,
        };
        store.pullRequests.update(id, { follow });
        const detail = on ? `is followed, for up to ${rounds} rounds` : "is not followed any more";
        if (on !== now.follow.on || rounds !== now.follow.maxRounds)
          store.events.append(now.taskId, { kind: "pull_request_updated", ...eventOf(now, by), detail });
        due.delete(id);
        return known(id);
      });
    },
  };

  function known(id: PullRequestId): PullRequest {
    const found = store.pullRequests.get(id);
    if (found !== undefined) return found;
    throw new CcwError("not_found", `There is no pull request ${id}.`, "`ccw-server pr list` shows them.");
  }
}

function newest(comments: readonly ForgeComment[]): ForgeComment[] {
  return [...comments]
    .sort((one, other) => one.at - other.at)
    .slice(-maxComments)
    .map((comment) => ({ ...comment, body: comment.body.slice(0, maxCommentText) }));
}
