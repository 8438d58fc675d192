import { CcwError, messageOf } from "../domain/errors.ts";
import type { TaskId } from "../domain/ids.ts";
import type { Log } from "../domain/ports.ts";
import type { TaskRow } from "../domain/store/tasks.ts";
import type { Store } from "../domain/store.ts";
import type { PullRequests } from "./pull-requests.ts";

/** Opens the pull requests that were wished for when their tasks were submitted, once those have completed. */
export interface OwedPullRequests {
  start(): void;
  close(): Promise<void>;
}

const maxOwed = 100;
const maxTries = 20;

/** The wish stays in the task's row until it is carried out or cannot be: a server that dies leaves it to the next. */
export function createOwedPullRequests(
  context: { store: Store; pullRequests: PullRequests; log: Log; now(): number },
  { pauseMs = 60_000 }: { pauseMs?: number } = {},
): OwedPullRequests {
  const { store, pullRequests, log, now } = context;
  const stopped = new AbortController();
  const tries = new Map<TaskId, { count: number; at: number }>();
  let running: Promise<void> | undefined;
  let due = false;

  async function offer(task: TaskRow): Promise<void> {
    const { count, at } = tries.get(task.id) ?? { count: 0, at: 0 };
    if (count > 0 && now() < at) return;
    try {
      await pullRequests.open(task.id, undefined, { draft: task.pullRequest === "draft" });
    } catch (thrown) {
      const passing =
        thrown instanceof CcwError && ["unavailable", "rate_limited", "no_space"].includes(thrown.code);
      log.warn("a pull request could not be opened by itself", { task: task.id, reason: messageOf(thrown) });
      if (passing && count + 1 < maxTries) {
        tries.set(task.id, { count: count + 1, at: now() + Math.min(10, 2 ** count) * pauseMs });
        return;
      }
      if (!(thrown instanceof CcwError)) {
        const text = "The pull request could not be opened by itself. The server's log says why.";
        store.events.append(task.id, { kind: "appliance_notice", level: "error", text });
      }
    }
    tries.delete(task.id);
    store.tasks.settlePullRequest(task.id);
  }

  async function work(): Promise<void> {
    while (due && !stopped.signal.aborted) {
      due = false;
      try {
        for (const task of store.tasks.owingPullRequests(maxOwed)) {
          if (stopped.signal.aborted) return;
          await offer(task);
        }
      } catch (thrown) {
        log.error("pull requests that are owed cannot be read; trying again", { reason: messageOf(thrown) });
      }
    }
  }

  const ring = () => {
    due = true;
    running ??= work().finally(() => {
      running = undefined;
    });
  };

  let timer: Timer | undefined;
  let off = () => {};
  return {
    start() {
      off = store.wakes.on("tasks", ring);
      timer = setInterval(ring, pauseMs / 2);
      ring();
    },
    async close() {
      stopped.abort();
      off();
      clearInterval(timer);
      await running;
    },
  };
}
