import { messageOf } from "../domain/errors.ts";
import type { Log } from "../domain/ports.ts";
import type { SnapshotRepositories } from "../domain/snapshots.ts";
import type { Store } from "../domain/store.ts";
import { isEnded } from "../domain/task.ts";
import { type Regular, regularly } from "./regularly.ts";

interface ExpiryContext {
  store: Store;
  snapshots: Pick<SnapshotRepositories, "tasks" | "remove">;
  /** 0: never. */
  keepDays: number;
  log: Log;
  now(): number;
}

const everyMs = 6 * 60 * 60_000;
const dayMs = 24 * 60 * 60_000;

/** Removes the snapshots of tasks that have rested for `keepDays`, at once and then every six hours. */
export function startSnapshotExpiry(context: ExpiryContext): Regular {
  const failed = "snapshots could not be looked through; trying again";
  return regularly(() => expireSnapshots(context), { everyMs, failed, log: context.log });
}

/** That there were turns stays written; their files, and the way back to them, are gone. */
export async function expireSnapshots({
  store,
  snapshots,
  keepDays,
  log,
  now,
}: ExpiryContext): Promise<void> {
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
