import { CcwError, messageOf } from "../domain/errors.ts";
import type { PullRequestId, TaskId } from "../domain/ids.ts";
import { nameOf, type PullRequest } from "../domain/pull-request.ts";
import type { Commit } from "../domain/repository.ts";
import type { Person } from "../domain/store/people.ts";
import { openPullRequest, type Wanted } from "./open-pull-request.ts";
import { eventOf, notConnected, onTheForge, type PullRequestContext } from "./pull-request-context.ts";
import { mergeOwn } from "./pull-request-merge.ts";
import { tipOf } from "./pull-request-offer.ts";
import { existing } from "./submit.ts";

/** A task's work, offered for review: on its forge, or by the appliance itself where no forge has an API. */
export interface PullRequests {
  /**
   * One for each repository whose work is pushed, or for the one that is named. What is open already is returned as it
   * is. `by`: undefined where the appliance does it by itself.
   */
  open(taskId: TaskId, by: Person | undefined, wanted: Wanted): Promise<PullRequest[]>;
  update(id: PullRequestId, by: Person, change: Change): Promise<PullRequest>;
  /** The appliance's own alone: on a forge, its own rules say who merges. */
  merge(id: PullRequestId, by: Person, seen: { headCommit: string }): Promise<PullRequest>;
  close(id: PullRequestId, by: Person): Promise<PullRequest>;
  /** `not_found` where there is none. */
  get(id: PullRequestId): PullRequest;
  /** As it is now, with its commits, newest first; none where they cannot be had. */
  look(id: PullRequestId): Promise<{ pullRequest: PullRequest; commits: Commit[] }>;
}

export interface Change {
  title?: string | undefined;
  body?: string | undefined;
  draft?: boolean | undefined;
}

const maxCommits = 200;

export function createPullRequests(context: PullRequestContext): PullRequests {
  const { store, forgeOf, host, log } = context;
  /** One thing at a time is done to a branch, so that two clicks do not open two. */
  const turns = new Map<string, Promise<unknown>>();

  async function inTurn<Value>(key: string, work: () => Promise<Value>): Promise<Value> {
    const before = turns.get(key);
    const mine = (async () => {
      await before?.catch(() => {});
      return work();
    })();
    turns.set(key, mine);
    try {
      return await mine;
    } finally {
      if (turns.get(key) === mine) turns.delete(key);
    }
  }

  /** Does it; what went wrong stands in the task's transcript, too. */
  async function told<Value>(
    taskId: TaskId,
    what: string,
    work: () => Promise<Value>,
    isNews: (error: CcwError) => boolean = () => true,
  ): Promise<Value> {
    try {
      return await work();
    } catch (thrown) {
      if (thrown instanceof CcwError) {
        if (!isNews(thrown)) throw thrown;
        const text = `${what}: ${thrown.message} ${thrown.hint}`.trim();
        const last = store.events.last(taskId, "appliance_notice")?.body;
        if (last?.kind !== "appliance_notice" || last.text !== text)
          store.events.append(taskId, { kind: "appliance_notice", level: "warning", text });
      } else log.error("a pull request failed", { task: taskId, reason: messageOf(thrown) });
      throw thrown;
    }
  }

  const get = (id: PullRequestId) => {
    const found = store.pullRequests.get(id);
    if (found === undefined)
      throw new CcwError("not_found", `There is no pull request ${id}.`, "`ccw-server pr list` shows them.");
    return found;
  };

  const stillOpen = (id: PullRequestId, verb: string) => {
    const found = get(id);
    if (found.state !== "open")
      throw new CcwError("conflict", `${nameOf(found)} is ${found.state} already, so it cannot be ${verb}.`);
    return found;
  };

  /** The forge's API and its repository, where the pull request is kept by a forge. */
  function placeOf(pullRequest: PullRequest) {
    const { keptBy, repository: name } = pullRequest;
    if (keptBy === "appliance") return undefined;
    const repository = store.repositories.get(name);
    const api = repository && forgeOf(repository);
    if (repository?.kind !== "remote" || api === undefined) throw notConnected(pullRequest);
    return { api, path: repository.path };
  }

  return {
    get,
    async open(taskId, by, wanted) {
      const task = existing(store, taskId);
      const named = task.repositories.filter(
        ({ name }) => wanted.repository === undefined || name === wanted.repository,
      );
      if (named.length === 0) {
        const names = task.repositories.map(({ name }) => name).join(", ");
        throw new CcwError(
          "not_found",
          wanted.repository === undefined
            ? "The task has no repository, so there is nothing to offer."
            : `The task has no repository named ${JSON.stringify(wanted.repository.slice(0, 200))}.`,
          names === "" ? "" : `It has: ${names}.`,
        );
      }
      const opened: PullRequest[] = [];
      const failures: unknown[] = [];
      for (const place of named) {
        try {
          opened.push(
            await inTurn(`${place.name} ${place.workBranch}`, () =>
              told(
                taskId,
                `The pull request for ${place.name} could not be opened`,
                () => openPullRequest(context, task, place, by, wanted),
                // Of several repositories a task often changes only some.
                ({ code }) => named.length === 1 || code !== "conflict",
              ),
            ),
          );
        } catch (thrown) {
          failures.push(thrown);
        }
      }
      const grave = failures.find((thrown) => !(thrown instanceof CcwError && thrown.code === "conflict"));
      if (grave !== undefined || opened.length === 0) throw grave ?? failures[0];
      return opened;
    },

    async update(id, by, change) {
      return inTurn(id, async () => {
        const before = stillOpen(id, "changed");
        const { title = before.title, body = before.body, draft = before.draft } = change;
        const words = [
          ...(title === before.title ? [] : ["has another title"]),
          ...(body === before.body ? [] : ["has another description"]),
          ...(draft === before.draft ? [] : [draft ? "is a draft again" : "is ready for review"]),
        ];
        if (words.length === 0) return before;
        const wanted = {
          ...(title !== before.title && { title }),
          ...(body !== before.body && { body }),
          ...(draft !== before.draft && { draft }),
        };
        await told(before.taskId, `${nameOf(before)} could not be changed`, async () => {
          const place = placeOf(before);
          const after = place && (await place.api.updatePullRequest(place.path, before.number, wanted));
          store.atomically(() => {
            const { title, body, draft } = after ?? { ...before, ...wanted };
            store.pullRequests.update(id, { title, body, draft });
            const detail = words.join(", ");
            store.events.append(before.taskId, {
              kind: "pull_request_updated",
              ...{ ...eventOf(get(id), by), detail },
            });
          });
        });
        return get(id);
      });
    },

    async merge(id, by, seen) {
      return inTurn(id, async () => {
        const before = stillOpen(id, "merged");
        await told(before.taskId, `${nameOf(before)} could not be merged`, () =>
          mergeOwn(context, before, by, seen.headCommit),
        );
        return get(id);
      });
    },

    async close(id, by) {
      return inTurn(id, async () => {
        const before = stillOpen(id, "closed");
        if (before.keptBy === "forge") throw onTheForge(before, "close");
        store.atomically(() => {
          store.pullRequests.update(id, { state: "closed" });
          store.events.append(before.taskId, { kind: "pull_request_closed", ...eventOf(before, by) });
        });
        return get(id);
      });
    },

    async look(id) {
      const { repository, base, head, keptBy, state, headCommit, trouble } = get(id);
      if (keptBy === "appliance" && state === "open") {
        // Nobody polls the appliance itself: it is looked at when a person looks.
        const tip = await tipOf(host, repository, head);
        const words = tip === undefined ? `The branch ${head} is not there any more.` : "";
        if ((tip ?? headCommit) !== headCommit || trouble !== words)
          store.pullRequests.update(id, { headCommit: tip ?? headCommit, trouble: words });
      }
      const commits = await host.commits(repository, base, head, maxCommits).catch(() => []);
      return { pullRequest: get(id), commits };
    },
  };
}
