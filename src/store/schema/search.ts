import { index, integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import type { TaskId } from "../../domain/ids.ts";
import type { SearchKind } from "../../domain/search.ts";

/**
 * What can be found: a row for each text of a transcript. Its words stand under the same id in `search_index`, a table of
 * SQLite's FTS5 that the migration makes; the text itself is read from the event.
 */
export const searchEntries = sqliteTable(
  "search_entries",
  {
    id: integer().primaryKey(),
    taskId: text("task_id").$type<TaskId>().notNull(),
    seq: integer().notNull(),
    kind: text().$type<SearchKind>().notNull(),
    at: integer().notNull(),
  },
  (table) => [index("search_entries_by_task").on(table.taskId, table.id)],
);

/** One row: how far the events have been read for it. */
export const searchCursor = sqliteTable("search_cursor", {
  id: integer().primaryKey(),
  seq: integer().notNull(),
});
