import { sql } from "drizzle-orm";
import { index, integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";
import type { PromptId, SandboxId, TaskId } from "../../domain/ids.ts";
import type { SessionCommandBody } from "../../domain/session.ts";
import { tasks } from "./tasks.ts";

export const sandboxes = sqliteTable(
  "sandboxes",
  {
    id: text().$type<SandboxId>().primaryKey(),
    taskId: text("task_id")
      .$type<TaskId>()
      .notNull()
      .references(() => tasks.id),
    awakeMs: integer("awake_ms").notNull().default(0),
    endedAt: integer("ended_at"),
    /** Since when its container is stopped. */
    asleepAt: integer("asleep_at"),
    acked: integer().notNull().default(0),
    /** Of all events held from it, as JSON. */
    eventBytes: integer("event_bytes").notNull().default(0),
    cursor: integer().notNull().default(0),
    busyWith: text("busy_with").$type<PromptId>(),
    failure: text().notNull().default(""),
    /** Bytes that left it through the egress door, for its upload budget. */
    uploadedBytes: integer("uploaded_bytes").notNull().default(0),
    /** Bare repositories on this machine whose objects it borrows: what must not be pruned while it lives. */
    objectFolders: text("object_folders", { mode: "json" }).$type<string[]>().notNull().default([]),
  },
  (table) => [index("sandboxes_current").on(table.taskId).where(sql`ended_at IS NULL`)],
);

export const commands = sqliteTable(
  "commands",
  {
    sandboxId: text("sandbox_id")
      .$type<SandboxId>()
      .notNull()
      .references(() => sandboxes.id),
    n: integer().notNull(),
    at: integer().notNull(),
    body: text({ mode: "json" }).$type<SessionCommandBody>().notNull(),
  },
  (table) => [primaryKey({ columns: [table.sandboxId, table.n] })],
);
