import { sql } from "drizzle-orm";
import { index, integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import type { AttachmentId, PersonId, ScheduleId, TaskId } from "../../domain/ids.ts";
import { people } from "./people.ts";
import { schedules } from "./schedules.ts";
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
    /** Whose every run gets a copy. */
    scheduleId: text("schedule_id")
      .$type<ScheduleId>()
      .references(() => schedules.id),
    /** The attachment as which these bytes were uploaded, where that is another one. */
    file: text().$type<AttachmentId>(),
    name: text().notNull(),
    mediaType: text("media_type").notNull(),
    bytes: integer().notNull(),
    createdAt: integer("created_at").notNull(),
  },
  (table) => [
    index("attachments_by_task").on(table.taskId),
    index("attachments_by_schedule").on(table.scheduleId).where(sql`schedule_id IS NOT NULL`),
    index("attachments_by_file").on(table.file).where(sql`file IS NOT NULL`),
    index("attachments_unclaimed").on(table.createdAt).where(sql`task_id IS NULL`),
  ],
);
