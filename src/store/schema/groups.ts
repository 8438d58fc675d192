import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import type { GroupId, TaskId } from "../../domain/ids.ts";
import type { PullRequestWish } from "../../domain/task.ts";

export const taskGroups = sqliteTable("task_groups", {
  id: text().$type<GroupId>().primaryKey(),
  title: text().notNull(),
  prompt: text().notNull(),
  person: text().notNull(),
  attempts: integer().notNull(),
  pullRequest: text("pull_request").$type<PullRequestWish>().notNull(),
  kept: text().$type<TaskId>(),
  createdAt: integer("created_at").notNull(),
});
