import { sql } from "drizzle-orm";
import { index, integer, real, sqliteTable, text } from "drizzle-orm/sqlite-core";
import type { EgressEntry } from "../../domain/egress.ts";
import type { SandboxId, TaskId } from "../../domain/ids.ts";

/** The ledger. Ids are given out by the ledger itself, without gaps, in the order in which requests began. */
export const egressRequests = sqliteTable(
  "egress_requests",
  {
    id: integer().primaryKey({ autoIncrement: true }),
    taskId: text("task_id").$type<TaskId>().notNull(),
    sandboxId: text("sandbox_id").$type<SandboxId>().notNull(),
    at: integer().notNull(),
    kind: text().$type<EgressEntry["kind"]>().notNull(),
    host: text().notNull(),
    port: integer().notNull(),
    method: text().notNull(),
    path: text().notNull(),
    address: text().notNull(),
    verdict: text().$type<EgressEntry["verdict"]>().notNull(),
    reason: text().notNull(),
    status: integer().notNull(),
    bytesUp: integer("bytes_up").notNull(),
    bytesDown: integer("bytes_down").notNull(),
    ms: real().notNull(),
    /** Still under way. */
    open: integer({ mode: "boolean" }).notNull(),
  },
  (table) => [
    index("egress_by_task").on(table.taskId, table.id),
    index("egress_by_host").on(table.host, table.id),
    index("egress_by_time").on(table.at),
    // Few among many: what a reviewer looks for, and what the last server process left open.
    index("egress_not_allowed").on(table.verdict, table.id).where(sql`verdict <> 'allowed'`),
    index("egress_open").on(table.id).where(sql`open = 1`),
  ],
);
