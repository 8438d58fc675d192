import { and, eq, isNotNull, lte, sql } from "drizzle-orm";
import type { TaskId } from "../domain/ids.ts";
import type { DeletionStore } from "../domain/store/deletions.ts";
import { expireAccessRequests } from "./access-requests.ts";
import type { StoreContext } from "./context.ts";
import { sandboxes } from "./schema/sandboxes.ts";
import { tasks } from "./schema/tasks.ts";
import { createTaskReader } from "./task-rows.ts";

/**
 * Everything that hangs on a task, what refers to something before what it refers to. What a table without a reference to
 * tasks keeps of it beyond its life (sums of usage, runs of schedules) does not stand here.
 */
const rows: readonly string[] = [
  portionOf("events", "seq"),
  portionOf("model_requests"),
  portionOf("task_budgets", "task_id"),
  portionOf("egress_requests"),
  portionOf("access_requests"),
  portionOf("pull_requests"),
  portionOf("prompts"),
  portionOf("attachments"),
  portionOf("snapshots", "rowid"),
  `DELETE FROM commands WHERE rowid IN (SELECT c.rowid FROM sandboxes s JOIN commands c ON c.sandbox_id = s.id WHERE s.task_id = ?1 LIMIT ?2)`,
  portionOf("sandboxes"),
];

function portionOf(table: string, key = "id"): string {
  return `DELETE FROM ${table} WHERE ${key} IN (SELECT ${key} FROM ${table} WHERE task_id = ?1 LIMIT ?2)`;
}

export function createDeletionStore(context: StoreContext): DeletionStore {
  const { db, ids, wakeAfterCommit } = context;
  const select = createTaskReader(context);
  const sqlite = db.$client;
  const deleted = (id: TaskId) => and(eq(tasks.id, id), isNotNull(tasks.deletedAt));

  const change = (id: TaskId, set: Partial<typeof tasks.$inferInsert>) => {
    db.update(tasks).set(set).where(eq(tasks.id, id)).run();
    wakeAfterCommit(id);
    wakeAfterCommit("tasks");
  };

  const unindex = (id: TaskId, limit: number): number => {
    const where = `SELECT id FROM search_entries WHERE task_id = ?1 ORDER BY id LIMIT ?2`;
    sqlite.query(`DELETE FROM search_index WHERE rowid IN (${where})`).run(id, limit);
    return sqlite.query(`DELETE FROM search_entries WHERE id IN (${where})`).run(id, limit).changes;
  };

  return {
    mark(id, removeAt) {
      // Nobody can decide on what a paused one still asks for.
      expireAccessRequests(context, id);
      change(id, { deletedAt: ids.now(), removeAt });
    },
    get: (id) => select(deleted(id), 1)[0],
    restore(id) {
      change(id, { deletedAt: null, removeAt: null });
    },
    due(now) {
      return db
        .select({ id: tasks.id })
        .from(tasks)
        .where(
          and(
            isNotNull(tasks.deletedAt),
            lte(tasks.removeAt, now),
            sql`NOT EXISTS (SELECT 1 FROM tasks other WHERE other.restore ->> 'taskId' = ${tasks.id} AND other.id <> ${tasks.id} AND other.deleted_at IS NULL)`,
          ),
        )
        .orderBy(tasks.removeAt)
        .limit(100)
        .all()
        .map(({ id }) => id);
    },
    begin(id) {
      db.update(tasks).set({ removeAt: 0 }).where(eq(tasks.id, id)).run();
    },
    removePortion(id, limit) {
      if (unindex(id, limit) > 0) return true;
      for (const statement of rows) {
        if (sqlite.query(statement).run(id, limit).changes > 0) return true;
      }
      db.delete(tasks).where(deleted(id)).run();
      wakeAfterCommit("tasks");
      return false;
    },
    putAway: () =>
      db
        .select({ id: sandboxes.id, taskId: sandboxes.taskId })
        .from(sandboxes)
        .innerJoin(tasks, eq(tasks.id, sandboxes.taskId))
        .where(
          sql`${sandboxes.endedAt} IS NULL AND ${sandboxes.asleepAt} IS NOT NULL AND (${tasks.archivedAt} IS NOT NULL OR ${tasks.deletedAt} IS NOT NULL)`,
        )
        .all(),
  };
}
