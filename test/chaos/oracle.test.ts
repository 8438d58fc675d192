import { expect, test } from "bun:test";
import type { Evidence, StoredEvent } from "./evidence.ts";
import { type Case, judge } from "./oracle.ts";

/** A run in which all went well, made small; each test breaks one thing in it. */
function goodCase(): Case & { evidence: Evidence } {
  const events: StoredEvent[] = [
    { kind: "turn_started", promptId: "p1" },
    { kind: "tool_use", toolUseId: "t1" },
    { kind: "tool_result", toolUseId: "t1" },
    { kind: "turn_ended", promptId: "p1", outcome: "done" },
  ].map((body, index) => ({
    ...{ seq: index + 1, taskId: "task", sandboxId: "box", n: index + 1, at: index },
    ...{ kind: body.kind, body },
  }));
  return {
    ledger: {
      prompts: [
        { taskId: "task", id: "p1", said: "answered", marks: [{ mark: "mark-1-end", said: "answered" }] },
      ],
      ...{ stops: [], stuck: [], rests: new Set(["task"]) },
    },
    faults: [],
    evidence: {
      tasks: [{ id: "task", state: "completed" }],
      prompts: [
        { id: "p1", taskId: "task", text: "x mark-1-end", state: "taken", now: 0, person: "operator" },
      ],
      events,
      sandboxes: [{ id: "box", taskId: "task", acked: 4, endedAt: null, busyWith: null }],
      commands: [{ sandboxId: "box", n: 1, kind: "prompt", promptId: "p1" }],
      conversations: [{ taskId: "task", toolUses: ["t1"], toolResults: ["t1"], marks: ["mark-1-end"] }],
      leftOvers: [],
    },
    timesSeen: () => 1,
  };
}

const promisesOf = (given: Case) => judge(given).map(({ promise }) => promise);

test("a run in which all went well keeps every promise", () => {
  expect(judge(goodCase())).toEqual([]);
});

test.each<[string, (given: ReturnType<typeof goodCase>) => unknown]>([
  ["no prompt is lost", ({ evidence }) => evidence.prompts.pop()],
  ["no prompt is kept twice", ({ evidence }) => evidence.prompts.push(...evidence.prompts)],
  ["an agent has every prompt once", (given) => Object.assign(given, { timesSeen: () => 2 })],
  ["what was taken reached the agent", (given) => Object.assign(given, { timesSeen: () => 0 })],
  ["events are numbered without a gap", ({ evidence }) => evidence.events.splice(1, 1)],
  ["what the agent did is told", ({ evidence }) => evidence.conversations[0]?.toolUses.push("t2")],
  ["a turn is done once", ({ evidence }) => evidence.events.push(...evidence.events.slice(-1))],
  ["no task is stuck", ({ ledger }) => ledger.stuck.push({ taskId: "task", state: "running" })],
  ["every task ends", ({ evidence }) => evidence.tasks.push({ id: "other", state: "running" })],
  ["nothing is left behind", ({ evidence }) => evidence.leftOvers.push("a mount")],
  [
    "a task stops for a reason",
    ({ ledger }) =>
      ledger.stops.push({ taskId: "task", state: "failed", reason: "Its sandbox died 3 times", at: 1 }),
  ],
])("the oracle sees a broken promise: %s", (promise, breakIt) => {
  const given = goodCase();
  breakIt(given);
  expect(promisesOf(given)).toContain(promise);
});
