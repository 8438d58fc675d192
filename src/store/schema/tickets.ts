import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import type { PersonId, TaskId, TicketId } from "../../domain/ids.ts";
import type { TicketFacts } from "../../domain/store/tickets.ts";
import { people } from "./people.ts";

export const tickets = sqliteTable("tickets", {
  id: text().$type<TicketId>().primaryKey(),
  personId: text("person_id")
    .$type<PersonId>()
    .notNull()
    .references(() => people.id),
  /** No reference: of a hand-over the task is not there yet, and none outlives its task by much. */
  taskId: text("task_id").$type<TaskId>().notNull(),
  /** SHA-256 of the secret, hex. */
  hash: text().notNull().unique(),
  facts: text({ mode: "json" }).$type<TicketFacts>().notNull(),
  expiresAt: integer("expires_at").notNull(),
  usedAt: integer("used_at"),
});
