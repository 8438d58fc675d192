import { index, integer, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";
import type { TaskEventBody } from "../../domain/event.ts";
import type { SandboxId, TaskId } from "../../domain/ids.ts";
import { tasks } from "./tasks.ts";

export const events = sqliteTable(
  "events",
  {
    seq: integer().primaryKey({ autoIncrement: true }),
    taskId: text("task_id")
      .$type<TaskId>()
      .notNull()
      .references(() => tasks.id),
    /** Set on what a guest sent: from which sandbox, under which of its numbers. */
    sandboxId: text("sandbox_id").$type<SandboxId>(),
    n: integer(),
    at: integer().notNull(),
    kind: text().$type<TaskEventBody["kind"]>().notNull(),
    body: text({ mode: "json" }).$type<TaskEventBody>().notNull(),
  },
  (table) => [
    index("events_by_task").on(table.taskId, table.seq),
    index("events_by_kind").on(table.taskId, table.kind, table.seq),
    uniqueIndex("events_once").on(table.sandboxId, table.n),
  ],
);
