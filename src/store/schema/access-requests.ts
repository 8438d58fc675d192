import { index, integer, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";
import type { AccessState } from "../../domain/access-request.ts";
import type { DenyCode } from "../../domain/egress.ts";
import type { TaskId } from "../../domain/ids.ts";
import { tasks } from "./tasks.ts";

export const accessRequests = sqliteTable(
  "access_requests",
  {
    id: integer().primaryKey({ autoIncrement: true }),
    taskId: text("task_id")
      .$type<TaskId>()
      .notNull()
      .references(() => tasks.id),
    host: text().notNull(),
    port: integer().notNull(),
    /** Of the refusal that asked. */
    reason: text().$type<DenyCode>().notNull(),
    /** How often it was refused. */
    count: integer().notNull(),
    firstAt: integer("first_at").notNull(),
    lastAt: integer("last_at").notNull(),
    stateKind: text("state_kind").$type<AccessState["kind"]>().notNull(),
    state: text({ mode: "json" }).$type<AccessState>().notNull(),
  },
  (table) => [
    uniqueIndex("access_requests_once").on(table.taskId, table.host, table.port),
    index("access_requests_by_state").on(table.stateKind, table.id),
  ],
);
