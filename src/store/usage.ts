import { and, eq, gt, gte, inArray, lt, lte, min, type SQL, sql } from "drizzle-orm";
import type { PromptId, TaskId } from "../domain/ids.ts";
import type { ModelRequest } from "../domain/model.ts";
import { isNothing } from "../domain/prices.ts";
import type { TaskRow } from "../domain/store/tasks.ts";
import type { UsageBy, UsageFilter, UsageStore, UsageSum, UsageTotals } from "../domain/store/usage.ts";
import type { StoreContext } from "./context.ts";
import { people } from "./schema/people.ts";
import { tasks } from "./schema/tasks.ts";
import { modelRequests, taskBudgets, usageDays } from "./schema/usage.ts";

const summed = [
  "requests",
  "unpriced",
  "inputTokens",
  "outputTokens",
  "cacheReadTokens",
  "cacheWriteTokens",
  "cacheWriteHourTokens",
  "webSearches",
  "costNano",
] as const satisfies readonly (keyof UsageTotals)[];

const sum = (what: unknown) => sql<number>`coalesce(sum(${what}), 0)`;
const totals = {
  requests: sum(usageDays.requests),
  unpriced: sum(usageDays.unpriced),
  inputTokens: sum(usageDays.inputTokens),
  outputTokens: sum(usageDays.outputTokens),
  cacheReadTokens: sum(usageDays.cacheReadTokens),
  cacheWriteTokens: sum(usageDays.cacheWriteTokens),
  cacheWriteHourTokens: sum(usageDays.cacheWriteHourTokens),
  webSearches: sum(usageDays.webSearches),
  costNano: sum(usageDays.costNano),
};

/** What a request adds to the sums. */
const usedSomething = sql`${modelRequests.inputTokens} + ${modelRequests.outputTokens} + ${modelRequests.cacheReadTokens} + ${modelRequests.cacheWriteTokens} + ${modelRequests.webSearches} > 0`;
const turnTotals = {
  requests: sql<number>`count(*)`,
  unpriced: sum(sql`${modelRequests.costNano} IS NULL AND ${usedSomething}`),
  inputTokens: sum(modelRequests.inputTokens),
  outputTokens: sum(modelRequests.outputTokens),
  cacheReadTokens: sum(modelRequests.cacheReadTokens),
  cacheWriteTokens: sum(modelRequests.cacheWriteTokens),
  cacheWriteHourTokens: sum(modelRequests.cacheWriteHourTokens),
  webSearches: sum(modelRequests.webSearches),
  costNano: sum(modelRequests.costNano),
};

const keyOf = {
  task: usageDays.taskId,
  person: usageDays.personId,
  environment: usageDays.environment,
  model: usageDays.model,
  day: usageDays.day,
} satisfies Record<UsageBy, unknown>;

const nameOf: Record<UsageBy, SQL<string>> = {
  task: sql`coalesce((SELECT title FROM ${tasks} WHERE ${tasks.id} = ${usageDays.taskId}), '')`,
  person: sql`coalesce((SELECT name FROM ${people} WHERE ${people.id} = ${usageDays.personId}), '')`,
  environment: sql`${usageDays.environment}`,
  model: sql`${usageDays.model}`,
  day: sql`${usageDays.day}`,
};

export function createUsageStore({ db, wakeAfterCommit }: StoreContext): UsageStore {
  const where = ({ from, to, taskId, personId }: UsageFilter) =>
    and(
      from === undefined ? undefined : gte(usageDays.day, from),
      to === undefined ? undefined : lte(usageDays.day, to),
      taskId === undefined ? undefined : eq(usageDays.taskId, taskId),
      personId === undefined ? undefined : eq(usageDays.personId, personId),
    );

  return {
    record(request, day) {
      const task = db
        .select({ personId: tasks.personId, environment: tasks.environment })
        .from(tasks)
        .where(eq(tasks.id, request.taskId))
        .get();
      db.insert(modelRequests)
        .values({ ...request, promptId: request.promptId ?? null, costNano: request.costNano ?? null })
        .run();
      // A sandbox whose task is gone is nobody's, and has used its tokens all the same.
      if (task !== undefined) {
        const add = (name: (typeof summed)[number]) =>
          sql`${usageDays[name]} + ${sql.raw(`excluded.${usageDays[name].name}`)}`;
        db.insert(usageDays)
          .values({ ...request, ...task, day, ...onceOf(request) })
          .onConflictDoUpdate({
            target: [usageDays.taskId, usageDays.day, usageDays.model],
            set: Object.fromEntries(summed.map((name) => [name, add(name)])),
          })
          .run();
      }
      wakeAfterCommit("tasks");
    },
    list: (taskId, limit) =>
      db
        .select()
        .from(modelRequests)
        .where(eq(modelRequests.taskId, taskId))
        .orderBy(sql`${modelRequests.id} DESC`)
        .limit(limit)
        .all()
        .map((row) => ({ ...row, promptId: row.promptId ?? undefined, costNano: row.costNano ?? undefined }))
        .reverse(),
    sums: (by, filter, limit): UsageSum[] =>
      db
        .select({ key: sql<string>`${keyOf[by]}`, name: nameOf[by], ...totals })
        .from(usageDays)
        .where(where(filter))
        .groupBy(keyOf[by])
        .orderBy(
          by === "day" ? keyOf.day : sql`sum(${usageDays.costNano}) DESC, sum(${usageDays.inputTokens}) DESC`,
        )
        .limit(limit)
        .all(),
    total: (filter) => db.select(totals).from(usageDays).where(where(filter)).get() ?? none,
    turns: (taskId) =>
      db
        .select({ promptId: modelRequests.promptId, ...turnTotals })
        .from(modelRequests)
        .where(eq(modelRequests.taskId, taskId))
        .groupBy(modelRequests.promptId)
        .orderBy(sql`${modelRequests.promptId} IS NOT NULL, min(${modelRequests.id})`)
        .all()
        .map(({ promptId, ...rest }) => ({ ...rest, promptId: promptId ?? undefined })),
    countTurns: (taskId) =>
      db
        .select({ n: sql<number>`count(DISTINCT ${modelRequests.promptId})` })
        .from(modelRequests)
        .where(eq(modelRequests.taskId, taskId))
        .get()?.n ?? 0,
    hasAsked: (taskId: TaskId, promptId: PromptId) =>
      db
        .select({ id: modelRequests.id })
        .from(modelRequests)
        .where(and(eq(modelRequests.taskId, taskId), eq(modelRequests.promptId, promptId)))
        .limit(1)
        .get() !== undefined,
    forget(before, limit) {
      const first = db
        .select({ id: min(modelRequests.id) })
        .from(modelRequests)
        .get()?.id;
      if (first == null) return 0;
      // Ids stand in the order of time and have few gaps: no others are looked at.
      return db
        .delete(modelRequests)
        .where(and(lt(modelRequests.id, first + limit), lt(modelRequests.at, before)))
        .returning({ id: modelRequests.id })
        .all().length;
    },
    unpricedModels: (taskId) =>
      db
        .selectDistinct({ model: usageDays.model })
        .from(usageDays)
        .where(and(eq(usageDays.taskId, taskId), gt(usageDays.unpriced, 0)))
        .all()
        .map(({ model }) => model),
    budgetOf: (taskId) =>
      db.select().from(taskBudgets).where(eq(taskBudgets.taskId, taskId)).get()?.limits ?? {},
    setBudget(taskId, limits) {
      db.insert(taskBudgets)
        .values({ taskId, limits })
        .onConflictDoUpdate({ target: taskBudgets.taskId, set: { limits } })
        .run();
      wakeAfterCommit("tasks");
    },
  };
}

type Used = Pick<TaskRow, "inputTokens" | "outputTokens" | "costNano" | "unpriced">;

export const unused: Used = { inputTokens: 0, outputTokens: 0, costNano: 0, unpriced: 0 };

/** What each of these tasks has used; a handful of rows each, however long they ran. */
export function usedBy({ db }: StoreContext, ids: readonly TaskId[]): Map<TaskId, Used> {
  const rows = db
    .select({
      taskId: usageDays.taskId,
      inputTokens: sql<number>`${totals.inputTokens} + ${totals.cacheReadTokens} + ${totals.cacheWriteTokens}`,
      outputTokens: totals.outputTokens,
      costNano: totals.costNano,
      unpriced: totals.unpriced,
    })
    .from(usageDays)
    .where(inArray(usageDays.taskId, [...ids]))
    .groupBy(usageDays.taskId)
    .all();
  return new Map(rows.map(({ taskId, ...used }) => [taskId, used]));
}

const none: UsageTotals = {
  requests: 0,
  unpriced: 0,
  inputTokens: 0,
  outputTokens: 0,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  cacheWriteHourTokens: 0,
  webSearches: 0,
  costNano: 0,
};

function onceOf(request: ModelRequest) {
  const unpriced = request.costNano === undefined && !isNothing(request) ? 1 : 0;
  return { requests: 1, unpriced, costNano: request.costNano ?? 0 };
}
