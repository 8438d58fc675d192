import { index, integer, primaryKey, real, sqliteTable, text } from "drizzle-orm/sqlite-core";
import type { TaskLimits } from "../../domain/budget.ts";
import type { PersonId, PromptId, SandboxId, TaskId } from "../../domain/ids.ts";

export const modelRequests = sqliteTable(
  "model_requests",
  {
    id: integer().primaryKey({ autoIncrement: true }),
    taskId: text("task_id").$type<TaskId>().notNull(),
    sandboxId: text("sandbox_id").$type<SandboxId>().notNull(),
    /** Whose turn ran when it began. */
    promptId: text("prompt_id").$type<PromptId>(),
    at: integer().notNull(),
    model: text().notNull(),
    status: integer().notNull(),
    inputTokens: integer("input_tokens").notNull(),
    outputTokens: integer("output_tokens").notNull(),
    cacheReadTokens: integer("cache_read_tokens").notNull(),
    /** Of both kinds, and those of them that are kept for an hour. */
    cacheWriteTokens: integer("cache_write_tokens").notNull(),
    cacheWriteHourTokens: integer("cache_write_hour_tokens").notNull().default(0),
    webSearches: integer("web_searches").notNull().default(0),
    /** Nano-dollars by the prices of then; NULL where there was none. */
    costNano: integer("cost_nano"),
    firstByteMs: real("first_byte_ms").notNull(),
    totalMs: real("total_ms").notNull(),
  },
  (table) => [
    index("model_requests_by_task").on(table.taskId),
    index("model_requests_by_prompt").on(table.taskId, table.promptId),
  ],
);

/**
 * Sums of the model requests: what lists and budgets read, so that neither goes through thousands of rows. They stay when
 * their task is deleted, for the bill does.
 */
export const usageDays = sqliteTable(
  "usage_days",
  {
    taskId: text("task_id").$type<TaskId>().notNull(),
    /** `2026-11-21`, in the time zone that was set then. */
    day: text().notNull(),
    model: text().notNull(),
    personId: text("person_id").$type<PersonId>().notNull(),
    environment: text().notNull(),
    requests: integer().notNull(),
    /** Requests that used something which had no price. */
    unpriced: integer().notNull(),
    inputTokens: integer("input_tokens").notNull(),
    outputTokens: integer("output_tokens").notNull(),
    cacheReadTokens: integer("cache_read_tokens").notNull(),
    cacheWriteTokens: integer("cache_write_tokens").notNull(),
    cacheWriteHourTokens: integer("cache_write_hour_tokens").notNull(),
    webSearches: integer("web_searches").notNull(),
    costNano: integer("cost_nano").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.taskId, table.day, table.model] }),
    index("usage_days_by_day").on(table.day, table.personId),
  ],
);

/** What a person set for one task instead of its environment's limits. */
export const taskBudgets = sqliteTable("task_budgets", {
  taskId: text("task_id").$type<TaskId>().primaryKey(),
  limits: text({ mode: "json" }).$type<Partial<TaskLimits>>().notNull(),
});
