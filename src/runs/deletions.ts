import { CcwError, messageOf } from "../domain/errors.ts";
import type { TaskId } from "../domain/ids.ts";
import type { AttachmentFiles, KeptWork, Log, TaskBelongings } from "../domain/ports.ts";
import type { Store } from "../domain/store.ts";

/** Removes what was deleted once its grace time is over, and the sandboxes of what was put away. */
export interface Deletions {
  start(): void;
  close(): Promise<void>;
}

export interface DeletionsContext {
  store: Store;
  /** Everything outside the database that belongs to tasks. */
  belongings: readonly TaskBelongings[];
  log: Log;
  now(): number;
}

interface Pace {
  /** How often it looks for what is due; also how long it waits after a failure. */
  roundMs?: number;
  /** Rows at once, and the pause behind them, in which everybody else has their turn. */
  rows?: number;
  pauseMs?: number;
}

/**
 * First what lies outside the database, then the rows, the task's own last: until then its id is known, so whatever ends
 * this in the middle, the next server begins at the top and finds what is left.
 */
export function createDeletions(context: DeletionsContext, pace: Pace = {}): Deletions {
  const { store, belongings, log, now } = context;
  const { roundMs = 30_000, rows = 500, pauseMs = 20 } = pace;
  const stopped = Promise.withResolvers<"stopped">();
  let isStopped = false;
  let running: Promise<void> | undefined;
  let due = false;

  const endSandboxes = () => {
    store.atomically(() => {
      for (const { id, taskId } of store.deletions.putAway()) {
        store.sandboxes.update(id, { endedAt: now() });
        const reason = "The task was put away.";
        store.events.append(taskId, { kind: "sandbox_removed", sandboxId: id, reason });
      }
    });
  };

  async function remove(id: TaskId): Promise<void> {
    store.deletions.begin(id);
    for (const each of belongings) await each.remove(id);
    while (!isStopped && store.deletions.removePortion(id, rows)) {
      await Promise.race([Bun.sleep(pauseMs), stopped.promise]);
    }
    if (!isStopped) log.info("a deleted task was removed", { task: id });
  }

  async function work(): Promise<void> {
    while (due && !isStopped) {
      due = false;
      await attempt(endSandboxes, "sandboxes of what was put away cannot be ended");
      const ids = (await attempt(() => store.deletions.due(now()), "deleted tasks cannot be read")) ?? [];
      for (const id of ids) {
        if (isStopped) return;
        // The next round begins with it again; those behind it do not wait for that.
        await attempt(() => remove(id), "a deleted task cannot be removed", id);
      }
    }
  }

  async function attempt<Result>(
    act: () => Result | Promise<Result>,
    what: string,
    task?: TaskId,
  ): Promise<Result | undefined> {
    try {
      return await act();
    } catch (thrown) {
      log.error(`${what}; trying again`, { task, reason: messageOf(thrown) });
      return undefined;
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
      timer = setInterval(ring, roundMs);
      ring();
    },
    async close() {
      isStopped = true;
      stopped.resolve("stopped");
      off();
      clearInterval(timer);
      await running;
    },
  };
}

/** What a forge did not take of it goes with the task. */
export function keptWorkOf(store: Pick<Store, "deletions">, kept: Pick<KeptWork, "remove">): TaskBelongings {
  return {
    async remove(id) {
      for (const { name } of store.deletions.get(id)?.repositories ?? []) {
        if (await kept.remove(id, name)) continue;
        throw new CcwError("conflict", `The task's work in ${name} is being pushed just now.`);
      }
    },
  };
}

/** The files that came with its prompts. Rows first: a file whose row is gone is removed by the next sweep, too. */
export function attachmentFilesOf(
  store: Pick<Store, "attachments">,
  files: Pick<AttachmentFiles, "remove">,
): TaskBelongings {
  return {
    async remove(id) {
      for (const attachment of store.attachments.ofTask(id)) {
        const unused = store.attachments.remove(attachment);
        if (unused !== undefined) await files.remove(unused);
      }
    },
  };
}
