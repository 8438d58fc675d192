import { countText, usdText } from "./amounts.ts";

/**
 * What tasks may use. A limit of 0 is none. Tokens are those of all kinds, what is read from the cache included.
 *
 * A limit that is reached is first soft: the agent is told with each request that it has to come to an end, and goes on.
 * It is hard, and the task is paused, after `lastRequests` such requests, or as soon as one was made and the limit is
 * passed by a tenth; and at once where the turn has not begun, since then there is no step to finish.
 */

export interface Limits {
  tokens: number;
  usd: number;
}

export interface TaskLimits extends Limits {
  turns: number;
}

export interface Spent {
  tokens: number;
  costNano: number;
}

/** Of everybody's tasks together; limits by the calendar day. */
export interface DayLimits {
  perPersonDay: Limits;
  perDay: Limits;
}

export interface BudgetFacts {
  limits: { task: TaskLimits; personDay: Limits; day: Limits };
  spent: { task: Spent; personDay: Spent; day: Spent };
  person: string;
  /** Turns in which the model was asked, the present one included. */
  turns: number;
  /** The present turn has asked the model before. */
  begun: boolean;
  /** Requests that were made since the agent was first told. */
  told: number;
  /** Models that this task used and that have no price. */
  unpriced: readonly string[];
  /** When the day's budgets begin anew, milliseconds since the epoch. */
  dayEnds: number;
}

export type BudgetVerdict =
  | { kind: "pass" }
  | { kind: "soft"; reason: string }
  | { kind: "hard"; reason: string; hint: string; until: number | undefined };

const lastRequests = 5;
const hardAt = 1.1;

const raiseHint =
  "Raise its budget (`ccw-server task budget`, or on its page) and resume the task; what was done is kept.";

export function decideBudget(facts: BudgetFacts): BudgetVerdict {
  const { limits, spent, turns, begun, told, dayEnds } = facts;
  if (limits.task.turns > 0 && turns > limits.task.turns) {
    const { turns: most } = limits.task;
    const reason = `The task has had ${most} ${most === 1 ? "turn" : "turns"}, which is its limit.`;
    return { kind: "hard", reason, hint: raiseHint, until: undefined };
  }
  const hasMoneyLimit = limits.task.usd > 0 || limits.personDay.usd > 0 || limits.day.usd > 0;
  if (hasMoneyLimit && facts.unpriced.length > 0) {
    return {
      kind: "hard",
      reason: `There is a budget in money, and no price is known for ${facts.unpriced.join(", ")}.`,
      hint: "Give it a price in [prices] of ccw.toml (0 where it costs nothing), restart the server and resume the task.",
      until: undefined,
    };
  }

  const day =
    "It goes on by itself when the day is over. The operator raises the limit in [budget] of ccw.toml.";
  const checks = [
    { words: "The task has", limit: limits.task, spent: spent.task, hint: raiseHint, until: undefined },
    {
      words: `The tasks of ${facts.person} have today`,
      ...{ limit: limits.personDay, spent: spent.personDay, hint: day, until: dayEnds },
    },
    {
      words: "All tasks together have today",
      limit: limits.day,
      spent: spent.day,
      hint: day,
      until: dayEnds,
    },
  ];
  let soft: BudgetVerdict | undefined;
  for (const { words, limit, spent: used, hint, until } of checks) {
    const shares = [
      {
        share: shareOf(used.costNano, limit.usd * 1e9),
        text: `spent ${usdText(used.costNano)} of ${usdText(limit.usd * 1e9)}`,
      },
      {
        share: shareOf(used.tokens, limit.tokens),
        text: `used ${countText(used.tokens)} of ${countText(limit.tokens)} tokens`,
      },
    ];
    for (const { share, text } of shares) {
      if (share < 1) continue;
      const reason = `${words} ${text}.`;
      if (!begun || told >= lastRequests || (share >= hardAt && told > 0)) {
        return { kind: "hard", reason, hint, until };
      }
      soft ??= { kind: "soft", reason };
    }
  }
  return soft ?? { kind: "pass" };
}

/** For the agent, in the form in which its own CLI gives it notes. */
export function budgetNote(reason: string): string {
  return `<system-reminder>
A budget of this task is reached. ${reason} This is a note of the appliance that this task runs on, not of the user.
Finish the step that you are in and begin nothing new: leave the files in a usable state, commit what is worth keeping, say in a few sentences what is done and what is left, and end your turn. After a few more requests the task is paused.
</system-reminder>`;
}

function shareOf(used: number, limit: number): number {
  return limit > 0 ? used / limit : 0;
}
