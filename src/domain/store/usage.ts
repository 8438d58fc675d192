import type { TaskLimits } from "../budget.ts";
import type { PersonId, PromptId, TaskId } from "../ids.ts";
import type { ModelRequest } from "../model.ts";
import type { TokenCounts } from "../prices.ts";

export interface UsageStore {
  /** `day`: as UsageFilter has it. */
  record(request: ModelRequest, day: string): void;
  /** The newest ones of a task, oldest first. */
  list(taskId: TaskId, limit: number): ModelRequest[];
  /** By day in order, else by what costs most. */
  sums(by: UsageBy, filter: UsageFilter, limit: number): UsageSum[];
  total(filter: UsageFilter): UsageTotals;
  /** In the order in which the turns began; what was used outside of any comes first. */
  turns(taskId: TaskId): (UsageTotals & { promptId: PromptId | undefined })[];
  /** Turns in which the model was asked. */
  countTurns(taskId: TaskId): number;
  hasAsked(taskId: TaskId, promptId: PromptId): boolean;
  /**
   * Deletes requests of before this time (ms), the oldest first, among as many as `limit`; returns how many went. The sums
   * stay; `list`, `turns`, `countTurns` and `hasAsked` know of none that went.
   */
  forget(before: number, limit: number): number;
  /** Models that the task used when they had no price. */
  unpricedModels(taskId: TaskId): string[];
  /** What a person set for this task alone; what is left out is as the environment has it. */
  budgetOf(taskId: TaskId): Partial<TaskLimits>;
  setBudget(taskId: TaskId, limits: Partial<TaskLimits>): void;
}

export const usageBys = ["task", "person", "environment", "model", "day"] as const;
export type UsageBy = (typeof usageBys)[number];

export interface UsageFilter {
  /** Days such as `2026-11-21`, both included. */
  from?: string | undefined;
  to?: string | undefined;
  taskId?: TaskId | undefined;
  personId?: PersonId | undefined;
}

export interface UsageTotals extends TokenCounts {
  requests: number;
  /** Requests that used something which had no price; `costNano` is without them. */
  unpriced: number;
  costNano: number;
}

export interface UsageSum extends UsageTotals {
  /** The id of the task or person; the name of the rest. */
  key: string;
  /** The task's title, the person's name; empty where the task was deleted. */
  name: string;
}
