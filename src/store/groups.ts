import { and, eq, isNull, or } from "drizzle-orm";
import { CcwError } from "../domain/errors.ts";
import type { Attempt } from "../domain/group.ts";
import type { GroupId, TaskId } from "../domain/ids.ts";
import type { GroupStore } from "../domain/store/groups.ts";
import type { TaskStore } from "../domain/store/tasks.ts";
import type { StoreContext } from "./context.ts";
import { taskGroups } from "./schema/groups.ts";
import { tasks } from "./schema/tasks.ts";

export function createGroupStore(
  { db, ids, wakeAfterCommit }: StoreContext,
  taskRows: Pick<TaskStore, "get">,
): GroupStore {
  return {
    add(group) {
      db.insert(taskGroups)
        .values({ ...group, createdAt: ids.now() })
        .run();
    },
    get(id) {
      const row = db.select().from(taskGroups).where(eq(taskGroups.id, id)).get();
      return row === undefined ? undefined : { ...row, kept: row.kept ?? undefined };
    },
    tasks: (id) =>
      db
        .select({ id: tasks.id })
        .from(tasks)
        .where(eq(tasks.groupId, id))
        .orderBy(tasks.attempt)
        .all()
        .flatMap((row) => taskRows.get(row.id) ?? []),
    keep(id, taskId) {
      const free = or(isNull(taskGroups.kept), eq(taskGroups.kept, taskId));
      const group = db
        .update(taskGroups)
        .set({ kept: taskId })
        .where(and(eq(taskGroups.id, id), free))
        .returning()
        .get();
      if (group === undefined) throw new CcwError("conflict", "Another attempt is kept already.");
      if (group.pullRequest !== "none") {
        db.update(tasks).set({ pullRequest: group.pullRequest }).where(eq(tasks.id, taskId)).run();
        // Once: a pull request that was closed by a person does not come back.
        db.update(taskGroups).set({ pullRequest: "none" }).where(eq(taskGroups.id, id)).run();
      }
      wakeAfterCommit("tasks");
    },
  };
}

/** Of the columns of a task and its group. */
export function attemptOf(
  task: { id: TaskId; groupId: GroupId | null; attempt: number | null },
  group: { attempts: number; kept: TaskId | null } | null,
): Attempt | undefined {
  if (task.groupId === null || group === null) return undefined;
  return {
    groupId: task.groupId,
    number: task.attempt ?? 1,
    of: group.attempts,
    kept: group.kept === null ? undefined : group.kept === task.id,
  };
}
