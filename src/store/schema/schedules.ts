import { sql } from "drizzle-orm";
import { index, integer, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";
import type { PersonId, ScheduleId, TaskId } from "../../domain/ids.ts";
import type { RunCause, Schedule, ScheduleOutcome } from "../../domain/schedule.ts";
import { people } from "./people.ts";

export const schedules = sqliteTable(
  "schedules",
  {
    id: text().$type<ScheduleId>().primaryKey(),
    name: text().notNull(),
    personId: text("person_id")
      .$type<PersonId>()
      .notNull()
      .references(() => people.id),
    time: text({ mode: "json" }).$type<Schedule["time"]>().notNull(),
    task: text({ mode: "json" }).$type<Schedule["task"]>().notNull(),
    missed: text().$type<Schedule["missed"]>().notNull(),
    overlap: text().$type<Schedule["overlap"]>().notNull(),
    triggersPerHour: integer("triggers_per_hour").notNull(),
    enabled: integer({ mode: "boolean" }).notNull(),
    nextAt: integer("next_at"),
    failures: integer().notNull().default(0),
    lastError: text("last_error").notNull().default(""),
    /** SHA-256 of its trigger's token, hex. */
    triggerHash: text("trigger_hash"),
    triggerSince: integer("trigger_since"),
    createdAt: integer("created_at").notNull(),
    updatedAt: integer("updated_at").notNull(),
  },
  (table) => [
    uniqueIndex("schedules_by_name").on(sql`lower(${table.name})`),
    index("schedules_due").on(table.nextAt).where(sql`next_at IS NOT NULL`),
  ],
);

export const scheduleRuns = sqliteTable(
  "schedule_runs",
  {
    id: integer().primaryKey({ autoIncrement: true }),
    scheduleId: text("schedule_id")
      .$type<ScheduleId>()
      .notNull()
      .references(() => schedules.id),
    /** What makes it one: the time it was due, the key of a request to the trigger, else anything. */
    key: text().notNull(),
    cause: text().$type<RunCause>().notNull(),
    dueAt: integer("due_at"),
    at: integer().notNull(),
    outcome: text({ mode: "json" }).$type<ScheduleOutcome>().notNull(),
    /** No reference: a task may be deleted, and was made nevertheless. */
    taskId: text("task_id").$type<TaskId>(),
  },
  (table) => [
    uniqueIndex("schedule_runs_once").on(table.scheduleId, table.key),
    index("schedule_runs_by_time").on(table.scheduleId, table.at),
  ],
);
