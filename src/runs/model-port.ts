import type { Agents } from "../domain/agents.ts";
import {
  type BudgetFacts,
  type BudgetVerdict,
  budgetNote,
  type DayLimits,
  decideBudget,
  type TaskLimits,
} from "../domain/budget.ts";
import type { Calendar } from "../domain/calendar.ts";
import type { SandboxId, TaskId } from "../domain/ids.ts";
import type { MeteredRequest, ModelApi, ModelEndpoint, ModelRequest } from "../domain/model.ts";
import type { Admission, ModelPort } from "../domain/ports.ts";
import { costOf, isNothing, noTokens, type PriceTable, priceOf, type TokenCounts } from "../domain/prices.ts";
import type { TaskRow } from "../domain/store/tasks.ts";
import type { Store } from "../domain/store.ts";
import { createReservations, estimateOf } from "./budget-reservations.ts";
import { taskOf } from "./session.ts";
import type { UsageLimits } from "./usage-limits.ts";

export interface ModelPortOptions {
  store: Store;
  /** The model endpoint in force now. */
  endpoint(api: ModelApi): ModelEndpoint | undefined;
  /** The operator's own rows. */
  prices: PriceTable;
  budget: DayLimits;
  calendar: Calendar;
  usageLimits: UsageLimits;
  agents: Agents;
  /** Else a usage limit of the account fails the task. */
  waitForUsageLimit: boolean;
  now: () => number;
}

/** What the model door may do for a sandbox: whether it may ask now, and what it has used. */
export function createModelPort(options: ModelPortOptions): ModelPort {
  const { store, endpoint, calendar, usageLimits, waitForUsageLimit, now } = options;
  /** Requests of a task since its agent was told of a budget. After a restart it is told anew. */
  const told = new Map<TaskId, number>();
  const reservations = createReservations();

  function parkForBudget(task: TaskRow, verdict: Extract<BudgetVerdict, { kind: "hard" }>): Admission {
    const { reason, hint, until } = verdict;
    if (!isBeingPaused(store, task.id)) {
      const event = { kind: "pause_requested", why: "budget", reason, hint } as const;
      store.events.append(task.id, until === undefined ? event : { ...event, until });
    }
    return { kind: "park", status: 400, reason: `${reason} The task is paused.` };
  }

  function parkForLimit(task: TaskRow, until: number): Admission {
    const reason = "The usage limit of the model account is reached.";
    if (!isBeingPaused(store, task.id)) {
      store.events.append(
        task.id,
        waitForUsageLimit
          ? { kind: "pause_requested", why: "usage_limit", reason, hint: "", until }
          : {
              kind: "limit_reached",
              reason,
              hint: `The endpoint takes requests again from ${new Date(until).toISOString()}. With wait_for_usage_limit in ccw.toml the task waits for that.`,
            },
      );
    }
    return { kind: "park", status: 429, reason };
  }

  function verdictFor(task: TaskRow, facts: Omit<BudgetFacts, "told">): BudgetVerdict {
    const verdict = decideBudget({ ...facts, told: told.get(task.id) ?? 0 });
    if (verdict.kind === "pass") told.delete(task.id);
    return verdict;
  }

  return {
    endpointFor: (sandboxId, api) => (taskOf(store, sandboxId) === undefined ? undefined : endpoint(api)),
    admit(sandboxId, bytes) {
      const task = taskOf(store, sandboxId);
      const promptId = store.sandboxes.get(sandboxId)?.busyWith;
      // Without a task there is no endpoint either.
      if (task === undefined) return { kind: "pass", promptId };
      // It is of the account behind the Messages API.
      const until =
        options.agents.named(task.agent)?.api === "messages" ? usageLimits.modelAvailableAt() : undefined;
      if (until !== undefined) return parkForLimit(task, until);
      const facts = factsOf(options, task, sandboxId);
      if (facts === undefined) return { kind: "pass", promptId };
      const verdict = verdictFor(task, facts);
      if (verdict.kind === "hard") return parkForBudget(task, verdict);
      const who = { taskId: task.id, personId: task.person.id };
      const estimate = estimateOf(bytes, facts.spent.task);
      if (reservations.isCrowded(who, facts, estimate))
        return { kind: "wait", changed: reservations.nextEnd() };
      const settle = reservations.reserve(who, estimate);
      switch (verdict.kind) {
        case "pass":
          return { kind: "pass", promptId, settle };
        case "soft": {
          const before = told.get(task.id) ?? 0;
          told.set(task.id, before + 1);
          if (before === 0) {
            store.events.append(task.id, {
              kind: "appliance_notice",
              level: "warning",
              text: `${verdict.reason} The agent is told to come to an end; then the task is paused.`,
            });
          }
          return { kind: "tell", promptId, text: budgetNote(verdict.reason), settle };
        }
      }
    },
    record(request) {
      store.usage.record(priced(request, options.prices), calendar.dayOf(request.at));
    },
    limited(sandboxId, { until, ofModel }) {
      // Where nobody waits for it, each task finds out for itself.
      if (waitForUsageLimit && !ofModel) usageLimits.reached(until);
      const task = taskOf(store, sandboxId);
      if (task !== undefined) parkForLimit(task, until);
    },
  };

  function factsOf({ budget, prices }: ModelPortOptions, task: TaskRow, sandboxId: SandboxId) {
    const limits = limitsOf(store, task);
    const all = [limits, budget.perPersonDay, budget.perDay];
    if (limits.turns === 0 && all.every(({ tokens, usd }) => tokens === 0 && usd === 0)) return undefined;
    const promptId = store.sandboxes.get(sandboxId)?.busyWith;
    const begun = promptId === undefined || store.usage.hasAsked(task.id, promptId);
    const today = calendar.dayOf(now());
    const day = { from: today, to: today };
    const spent = (filter: Parameters<typeof store.usage.total>[0]) => {
      const { requests, inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens, costNano } =
        store.usage.total(filter);
      return { requests, tokens: inputTokens + outputTokens + cacheReadTokens + cacheWriteTokens, costNano };
    };
    return {
      limits: { task: limits, personDay: budget.perPersonDay, day: budget.perDay },
      spent: {
        task: spent({ taskId: task.id }),
        personDay: spent({ ...day, personId: task.person.id }),
        day: spent(day),
      },
      person: task.person.name,
      turns: store.usage.countTurns(task.id) + (begun ? 0 : 1),
      begun,
      unpriced: store.usage
        .unpricedModels(task.id)
        .filter((model) => priceOf(model, false, prices) === undefined),
      dayEnds: calendar.endOfDay(now()),
    };
  }
}

/** What a task may use: as a person set it for the task, else as its environment says now. */
export function limitsOf(store: Store, task: TaskRow): TaskLimits {
  const { limits } = store.environments.get(task.environment) ?? store.tasks.environmentOf(task.id);
  return { turns: limits.turns, tokens: limits.tokens, usd: limits.usd, ...store.usage.budgetOf(task.id) };
}

/** With its cost by the prices of now, and all that it used in one sum. */
export function priced(request: MeteredRequest, prices: PriceTable): ModelRequest {
  const { fast, besides, ...rest } = request;
  let costNano: number | undefined = 0;
  let all: TokenCounts = noTokens;
  for (const part of [{ ...request, model: "" }, ...besides]) {
    const model = part.model === "" ? request.model : part.model;
    const price = priceOf(model, fast && model === request.model, prices);
    if (price !== undefined && costNano !== undefined) costNano += costOf(part, price);
    else if (!isNothing(part)) costNano = undefined;
    all = added(all, part);
  }
  return { ...rest, ...all, costNano };
}

function added(one: TokenCounts, other: TokenCounts): TokenCounts {
  return {
    inputTokens: one.inputTokens + other.inputTokens,
    outputTokens: one.outputTokens + other.outputTokens,
    cacheReadTokens: one.cacheReadTokens + other.cacheReadTokens,
    cacheWriteTokens: one.cacheWriteTokens + other.cacheWriteTokens,
    cacheWriteHourTokens: one.cacheWriteHourTokens + other.cacheWriteHourTokens,
    webSearches: one.webSearches + other.webSearches,
  };
}

/** A pause was asked for, and the task's state has not moved since. */
function isBeingPaused(store: Store, taskId: TaskId): boolean {
  const last = (kind: "pause_requested" | "limit_reached" | "state") =>
    store.events.last(taskId, kind)?.seq ?? 0;
  return Math.max(last("pause_requested"), last("limit_reached")) > last("state");
}
