import { integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";
import type { PromptId, TaskId } from "../../domain/ids.ts";
import type { Snapshot } from "../../domain/store/snapshots.ts";
import { tasks } from "./tasks.ts";

export const snapshots = sqliteTable(
  "snapshots",
  {
    taskId: text("task_id")
      .$type<TaskId>()
      .notNull()
      .references(() => tasks.id),
    turn: integer().notNull(),
    promptId: text("prompt_id").$type<PromptId>().notNull(),
    repositories: text({ mode: "json" }).$type<Snapshot["repositories"]>().notNull(),
    session: text().notNull(),
    at: integer().notNull(),
  },
  (table) => [primaryKey({ columns: [table.taskId, table.turn] })],
);
