import { messageOf } from "../domain/errors.ts";
import type { Log } from "../domain/ports.ts";
import type { SnapshotRepositories } from "../domain/snapshots.ts";
import type { Store } from "../domain/store.ts";
import { isEnded } from "../domain/task.ts";
import { type Regular, regularly } from "./regularly.ts";

const lookEveryMs = 6 * 60 * 60_000;
const dayMs = 24 * 60 * 60_000;

/**
 * Removes the snapshots of tasks that have rested for `keepDays` (0: never), and what belongs to no task. That there were
 * turns stays written; their files, and the way back to them, are gone.
 */
export function createSnapshotExpiry(options: {
  store: Store;
  snapshots: Pick<SnapshotRepositories, "tasks" | "remove">;
  keepDays: number;
  log: Log;
  now(): number;
}) {
  const { store, snapshots, keepDays, log, now } = options;
  let regular: Regular | undefined;

  async function look(): Promise<void> {
    if (keepDays === 0) return;
    const before = now() - keepDays * dayMs;
    for (const taskId of snapshots.tasks()) {
      const task = store.tasks.get(taskId);
      // One that is not there yet is a fork in the making; what was deleted is removed with its task.
      if (task === undefined || !isEnded(task.state.kind) || task.updatedAt > before) continue;
      try {
        await snapshots.remove(taskId);
        log.info("snapshots have expired", { task: taskId });
      } catch (thrown) {
        log.warn("snapshots could not be removed", { task: taskId, reason: messageOf(thrown) });
      }
    }
  }

  return {
    look,
    start(): void {
      const next = () =>
        look().catch((thrown: unknown) =>
          log.error("snapshots could not be looked at", { reason: messageOf(thrown) }),
        );
      regular = regularly(next, lookEveryMs);
    },
    async close(): Promise<void> {
      await regular?.close();
    },
  };
}
