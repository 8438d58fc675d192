import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";

export const environments = sqliteTable("environments", {
  name: text().primaryKey(),
  sealed: text().notNull(),
  createdAt: integer("created_at").notNull(),
  updatedAt: integer("updated_at").notNull(),
});
