import { sql } from "drizzle-orm";
import { index, integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import type { AttachmentId, PersonId, TaskId } from "../../domain/ids.ts";
import { people } from "./people.ts";
import { tasks } from "./tasks.ts";

export const attachments = sqliteTable(
  "attachments",
  {
    id: text().$type<AttachmentId>().primaryKey(),
    person: text()
      .$type<PersonId>()
      .notNull()
      .references(() => people.id),
    taskId: text("task_id")
      .$type<TaskId>()
      .references(() => tasks.id),
    name: text().notNull(),
    mediaType: text("media_type").notNull(),
    bytes: integer().notNull(),
    createdAt: integer("created_at").notNull(),
  },
  (table) => [
    index("attachments_by_task").on(table.taskId),
    index("attachments_unclaimed").on(table.createdAt).where(sql`task_id IS NULL`),
  ],
);
