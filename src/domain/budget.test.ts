import { expect, test } from "bun:test";
import { type BudgetFacts, budgetNote, decideBudget } from "./budget.ts";

const none = { tokens: 0, usd: 0 };
const nothing = { tokens: 0, costNano: 0 };
const facts = (change: Partial<BudgetFacts> = {}): BudgetFacts => ({
  limits: { task: { ...none, turns: 0 }, personDay: none, day: none },
  spent: { task: nothing, personDay: nothing, day: nothing },
  person: "ann",
  turns: 1,
  begun: true,
  told: 0,
  unpriced: [],
  dayEnds: 99,
  ...change,
});
const spending = (usd: number, change: Partial<BudgetFacts> = {}) =>
  facts({
    limits: { task: { tokens: 0, usd: 1, turns: 0 }, personDay: none, day: none },
    spent: { task: { tokens: 5, costNano: usd * 1e9 }, personDay: nothing, day: nothing },
    ...change,
  });

test("without limits everything passes, priced or not", () => {
  const much = { tokens: 1e12, costNano: 1e15 };
  expect(
    decideBudget(facts({ spent: { task: much, personDay: much, day: much }, unpriced: ["m"], turns: 999 })),
  ).toEqual({ kind: "pass" });
});

test("a limit is soft when it is reached, and hard after five requests or a tenth above", () => {
  expect(decideBudget(spending(0.999)).kind).toBe("pass");
  expect(decideBudget(spending(1))).toEqual({
    kind: "soft",
    reason: "The task has spent $1.00 of $1.00.",
  });
  for (const told of [1, 2, 3, 4]) expect(decideBudget(spending(1.09, { told })).kind).toBe("soft");
  expect(decideBudget(spending(1.09, { told: 5 })).kind).toBe("hard");
  expect(decideBudget(spending(1.1, { told: 1 })).kind).toBe("hard");
});

test("one request that goes far beyond still leaves one to come to an end", () => {
  expect(decideBudget(spending(50)).kind).toBe("soft");
  expect(decideBudget(spending(50, { told: 1 })).kind).toBe("hard");
});

test("a turn that has not begun is not begun", () => {
  const verdict = decideBudget(spending(1, { begun: false }));
  expect(verdict).toMatchObject({ kind: "hard", until: undefined });
});

test("tokens, a person's day and everybody's day are limits too; a day's is over with the day", () => {
  const of = (limits: Partial<BudgetFacts["limits"]>, spent: Partial<BudgetFacts["spent"]>) => {
    const { limits: noLimits, spent: unspent } = facts();
    return decideBudget(
      facts({ limits: { ...noLimits, ...limits }, spent: { ...unspent, ...spent }, told: 5 }),
    );
  };
  expect(
    of({ task: { tokens: 1000, usd: 0, turns: 0 } }, { task: { tokens: 1000, costNano: 0 } }),
  ).toMatchObject({ kind: "hard", reason: "The task has used 1.0k of 1.0k tokens.", until: undefined });
  expect(of({ personDay: { tokens: 0, usd: 2 } }, { personDay: { tokens: 0, costNano: 2e9 } })).toMatchObject(
    {
      kind: "hard",
      reason: "The tasks of ann have today spent $2.00 of $2.00.",
      until: 99,
    },
  );
  expect(of({ day: { tokens: 10, usd: 0 } }, { day: { tokens: 11, costNano: 0 } })).toMatchObject({
    kind: "hard",
    until: 99,
  });
});

test("the turn after the last one is not begun, the last one itself is not disturbed", () => {
  const limits = { task: { ...none, turns: 2 }, personDay: none, day: none };
  expect(decideBudget(facts({ limits, turns: 2 })).kind).toBe("pass");
  expect(decideBudget(facts({ limits, turns: 3, begun: false })).kind).toBe("hard");
});

test("a model without a price stops what has a budget in money: it cannot be kept", () => {
  expect(decideBudget(spending(0, { unpriced: ["qwen"] }))).toMatchObject({
    kind: "hard",
    reason: "There is a budget in money, and no price is known for qwen.",
  });
});

test("the agent's note is a reminder, as its own CLI writes them", () => {
  expect(budgetNote("R.")).toStartWith("<system-reminder>\n");
  expect(budgetNote("R.")).toContain("R. This is a note of the appliance");
});
