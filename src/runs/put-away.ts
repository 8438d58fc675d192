import { CcwError } from "../domain/errors.ts";
import type { TaskId } from "../domain/ids.ts";
import type { TaskRow } from "../domain/store/tasks.ts";
import type { Store } from "../domain/store.ts";
import { isAtRest } from "../domain/task.ts";
import { existing } from "./submit.ts";
import { rest } from "./watch-sandbox.ts";

/**
 * What is done to a task that rests: it is put into the archive or taken back, deleted or restored. One that has nothing
 * left to do, and whose sandbox is awake only in case more comes, is put to rest for it.
 */
export function archiveTask(store: Store, taskId: TaskId): TaskRow {
  return store.atomically(() => {
    const task = putToRest(store, taskId, "archived");
    if (task.archivedAt === undefined) store.tasks.setArchived(taskId, true);
    return existing(store, taskId);
  });
}

export function takeFromArchive(store: Store, taskId: TaskId): TaskRow {
  return store.atomically(() => {
    if (existing(store, taskId).archivedAt !== undefined) store.tasks.setArchived(taskId, false);
    return existing(store, taskId);
  });
}

/** Gone at once for everybody; until `removeAt` (ms) it can be restored. Returns it as it is now. */
export function deleteTask(store: Store, taskId: TaskId, removeAt: number): TaskRow {
  return store.atomically(() => {
    putToRest(store, taskId, "deleted");
    store.deletions.mark(taskId, removeAt);
    return deletedTask(store, taskId);
  });
}

export function restoreTask(store: Store, taskId: TaskId, now: number): TaskRow {
  return store.atomically(() => {
    if (store.tasks.get(taskId) !== undefined) {
      throw new CcwError("conflict", "The task is not deleted: there is nothing to restore.");
    }
    const { deletion } = deletedTask(store, taskId);
    if ((deletion?.removeAt ?? 0) <= now) {
      throw new CcwError("conflict", "The task cannot be restored any more: it is being removed.");
    }
    store.deletions.restore(taskId);
    return existing(store, taskId);
  });
}

function deletedTask(store: Store, taskId: TaskId): TaskRow {
  const task = store.deletions.get(taskId);
  if (task === undefined) {
    throw new CcwError(
      "not_found",
      `There is no deleted task ${taskId}.`,
      "`ccw-server task list --deleted` shows those that can be restored.",
    );
  }
  return task;
}

function putToRest(store: Store, taskId: TaskId, how: "archived" | "deleted"): TaskRow {
  rest(store, taskId, `The task was ${how}.`);
  const task = existing(store, taskId);
  if (isAtRest(task.state.kind)) return task;
  throw new CcwError(
    "conflict",
    `The task is ${task.state.kind}: only one that rests can be ${how}.`,
    "Cancel it first, or wait until it is done.",
  );
}
