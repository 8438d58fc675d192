import { sql } from "drizzle-orm";
import { index, integer, real, sqliteTable, text } from "drizzle-orm/sqlite-core";
import type { PromptId, TaskId } from "../../domain/ids.ts";
import type { Attachment } from "../../domain/store/attachments.ts";
import type { PromptState } from "../../domain/store/prompts.ts";
import { tasks } from "./tasks.ts";

export const prompts = sqliteTable(
  "prompts",
  {
    id: text().$type<PromptId>().primaryKey(),
    taskId: text("task_id")
      .$type<TaskId>()
      .notNull()
      .references(() => tasks.id),
    person: text().notNull(),
    text: text().notNull(),
    state: text().$type<PromptState>().notNull(),
    now: integer({ mode: "boolean" }).notNull().default(false),
    /** Orders those of one task that wait; only the order counts. */
    place: real().notNull().default(0),
    attachments: text({ mode: "json" }).$type<Attachment[]>().notNull().default([]),
    createdAt: integer("created_at").notNull(),
  },
  (table) => [
    index("prompts_by_task").on(table.taskId, table.id),
    index("prompts_waiting").on(table.taskId, table.place).where(sql`state = 'queued'`),
  ],
);
