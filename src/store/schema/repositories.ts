import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import type { Repository } from "../../domain/repository.ts";
import { forges } from "./forges.ts";

export const repositories = sqliteTable("repositories", {
  name: text().primaryKey(),
  kind: text().$type<Repository["kind"]>().notNull(),
  defaultBranch: text("default_branch").notNull(),
  push: text({ mode: "json" }).$type<Repository["push"]>().notNull().default({ force: false, delete: false }),
  createdAt: integer("created_at").notNull(),
  /** The rest is set for remote repositories alone. */
  forge: text().references(() => forges.name),
  path: text(),
  cloneUrl: text("clone_url"),
  webUrl: text("web_url"),
});
