import type { BudgetFacts, Limits, Spent } from "../domain/budget.ts";
import type { PersonId, TaskId } from "../domain/ids.ts";

/**
 * What requests that are under way will use, by estimate, so that those which run at the same time do not all pass by
 * what was counted before them. Where there is no room for one more, it waits until one of them has ended: an estimate
 * delays a request, and only what was counted tells the agent or pauses its task. Near its limit a budget lets requests
 * pass one by one, so that it is passed by the one that reaches it and no more.
 */
export interface Reservations {
  /** Whether this request has to wait for one that is under way. */
  isCrowded(who: Payer, facts: Pick<BudgetFacts, "limits" | "spent">, estimate: Spent): boolean;
  /** Holds room for it until what is returned is called. */
  reserve(who: Payer, estimate: Spent): () => void;
  /** Resolves when the next one has ended. */
  nextEnd(): Promise<void>;
}

export interface Payer {
  taskId: TaskId;
  personId: PersonId;
}

export function createReservations(): Reservations {
  const underWay = new Set<Payer & Spent>();
  let next = Promise.withResolvers<void>();

  function held(isMeant: (each: Payer) => boolean): Spent | undefined {
    const meant = [...underWay].filter(isMeant);
    if (meant.length === 0) return undefined;
    return {
      tokens: meant.reduce((sum, { tokens }) => sum + tokens, 0),
      costNano: meant.reduce((sum, { costNano }) => sum + costNano, 0),
    };
  }

  return {
    isCrowded({ taskId, personId }, { limits, spent }, estimate) {
      const isFull = (limit: Limits, used: Spent, others: Spent | undefined) =>
        others !== undefined &&
        (reaches(limit.tokens, used.tokens + others.tokens + estimate.tokens) ||
          reaches(limit.usd * 1e9, used.costNano + others.costNano + estimate.costNano));
      return (
        isFull(
          limits.task,
          spent.task,
          held((each) => each.taskId === taskId),
        ) ||
        isFull(
          limits.personDay,
          spent.personDay,
          held((each) => each.personId === personId),
        ) ||
        isFull(
          limits.day,
          spent.day,
          held(() => true),
        )
      );
    },
    reserve(who, estimate) {
      const one = { ...who, ...estimate };
      underWay.add(one);
      return () => {
        if (!underWay.delete(one)) return;
        next.resolve();
        next = Promise.withResolvers();
      };
    },
    nextEnd: () => next.promise,
  };
}

/** Beyond this an answer is rare. */
const usualOutput = 4096;
/** Four characters are about a token. */
const bytesPerToken = 4;
/** US dollars per million tokens. */
const highPrice = { input: 5, output: 25 };

/**
 * What a request of this size may use: as much as those of its task did on average, and no less tokens than it brings. Of a
 * task's first one nothing is known but its size; the price is one that is high for a model.
 */
export function estimateOf(bytes: number, soFar: Spent & { requests: number }): Spent {
  const inputTokens = Math.ceil(bytes / bytesPerToken);
  if (soFar.tokens > 0) {
    const mean = (sum: number) => Math.ceil(sum / soFar.requests);
    return { tokens: Math.max(inputTokens, mean(soFar.tokens)), costNano: mean(soFar.costNano) };
  }
  const costNano = 1000 * (inputTokens * highPrice.input + usualOutput * highPrice.output);
  return { tokens: inputTokens + usualOutput, costNano };
}

const reaches = (limit: number, amount: number): boolean => limit > 0 && amount >= limit;
