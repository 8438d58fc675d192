import { index, integer, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";
import type { PullRequestId, TaskId } from "../../domain/ids.ts";
import type { PullRequest } from "../../domain/pull-request.ts";
import { tasks } from "./tasks.ts";

export const pullRequests = sqliteTable(
  "pull_requests",
  {
    id: text().$type<PullRequestId>().primaryKey(),
    taskId: text("task_id")
      .$type<TaskId>()
      .notNull()
      .references(() => tasks.id),
    repository: text().notNull(),
    keptBy: text("kept_by").$type<PullRequest["keptBy"]>().notNull(),
    number: integer().notNull(),
    webUrl: text("web_url").notNull(),
    title: text().notNull(),
    body: text().notNull(),
    draft: integer({ mode: "boolean" }).notNull(),
    state: text().$type<PullRequest["state"]>().notNull(),
    base: text().notNull(),
    head: text().notNull(),
    headCommit: text("head_commit").notNull(),
    checks: text({ mode: "json" }).$type<PullRequest["checks"]>().notNull(),
    comments: text({ mode: "json" }).$type<PullRequest["comments"]>().notNull().default([]),
    trouble: text().notNull().default(""),
    follow: text({ mode: "json" }).$type<PullRequest["follow"]>().notNull(),
    createdAt: integer("created_at").notNull(),
    updatedAt: integer("updated_at").notNull(),
    polledAt: integer("polled_at").notNull().default(0),
  },
  (table) => [
    index("pull_requests_by_task").on(table.taskId),
    index("pull_requests_to_poll").on(table.state, table.polledAt),
    uniqueIndex("pull_requests_once").on(table.repository, table.keptBy, table.number),
  ],
);
