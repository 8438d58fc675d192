import { expect, test } from "bun:test";
import { join } from "node:path";
import Docker from "dockerode";
import type { Evidence, StoredEvent } from "./evidence.ts";
import { type Case, judge } from "./oracle.ts";
import type { SaidPrompt } from "./people.ts";
import { tellStory } from "./story.ts";

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
      ...{ leftOvers: [], defects: [] },
    },
    timesSeen: () => 1,
  };
}

test("a run in which all went well keeps every promise", () => {
  expect(judge(goodCase())).toEqual([]);
});

type Good = ReturnType<typeof goodCase>;
const event = ({ evidence }: Good, body: Record<string, unknown>): StoredEvent => {
  const kind = String(body["kind"]);
  const [seq, n] = [evidence.events.length + 1, (evidence.sandboxes[0]?.acked ?? 0) + 1];
  for (const sandbox of evidence.sandboxes) sandbox.acked = n;
  return { ...{ seq, taskId: "task", sandboxId: "box", n, at: seq }, kind, body };
};
const add = (given: Good, body: Record<string, unknown>) => given.evidence.events.push(event(given, body));
const row = ({ evidence }: Good, change: Partial<Evidence["prompts"][number]>) =>
  Object.assign(evidence.prompts[0] ?? {}, change);
const said = ({ ledger }: Good, change: Partial<SaidPrompt>) =>
  Object.assign(ledger.prompts[0] ?? {}, change);
const edited = (given: Good) =>
  said(given, { marks: ["mark-1-end", "mark-2-end"].map((mark) => ({ mark, said: "answered" })) });
const stop = ({ ledger }: Good, state: string, reason: string) =>
  ledger.stops.push({ taskId: "task", state, reason, at: 1 });

/** Each of the oracle's promises, and ways in which it is broken. */
const breaches: [promise: string, breakIt: (given: Good) => unknown][] = [
  ["no prompt is lost", ({ evidence }) => evidence.prompts.pop()],
  ["no prompt is kept twice", ({ evidence }) => evidence.prompts.push(...evidence.prompts)],
  ["an edit is kept", (given) => edited(given)],
  [
    "an edit is kept",
    (given) => {
      edited(given);
      row(given, { text: "x mark-2-end" });
    },
  ],
  [
    "what was removed stays removed",
    (given) => {
      said(given, { removed: "answered" });
      Object.assign(given, { timesSeen: () => 0 });
    },
  ],
  ["what was removed is not done", (given) => row(given, { state: "removed" })],
  ["an agent has every prompt once", (given) => Object.assign(given, { timesSeen: () => 2 })],
  ["what was taken reached the agent", (given) => Object.assign(given, { timesSeen: () => 0 })],
  ["every prompt is taken in the end", (given) => row(given, { state: "queued" })],
  ["every prompt is taken in the end", (given) => row(given, { state: "sent" })],
  [
    "every prompt is taken in the end",
    (given) => [row(given, { state: "sent" }), add(given, { kind: "cancel_requested" })],
  ],
  ["a turn is done once", (given) => add(given, { kind: "turn_ended", promptId: "p1", outcome: "done" })],
  [
    "a prompt is taken once",
    (given) => [1, 2].map(() => add(given, { kind: "prompt_taken", promptId: "p1" })),
  ],
  [
    "a turn that began has an end",
    ({ evidence: { events, sandboxes } }) => {
      events.pop();
      for (const sandbox of sandboxes) sandbox.acked = 3;
    },
  ],
  ["events are numbered without a gap", ({ evidence }) => evidence.events.splice(1, 1)],
  ["events are numbered without a gap", ({ evidence }) => evidence.events.reverse()],
  ["events are acknowledged", ({ evidence }) => Object.assign(evidence.sandboxes[0] ?? {}, { acked: 3 })],
  [
    "commands are numbered without a gap",
    ({ evidence }) => Object.assign(evidence.commands[0] ?? {}, { n: 2 }),
  ],
  ["what the agent did is told", ({ evidence }) => evidence.conversations[0]?.toolUses.push("t2")],
  ["what the agent did is told", ({ evidence }) => evidence.conversations[0]?.toolResults.push("t2")],
  ["what the agent did is told once", (given) => add(given, { kind: "tool_result", toolUseId: "t1" })],
  ["no task is stuck", ({ ledger }) => ledger.stuck.push({ taskId: "task", state: "running" })],
  ["every task ends", ({ evidence }) => evidence.tasks.push({ id: "other", state: "running" })],
  ["nothing is left behind", ({ evidence }) => evidence.leftOvers.push("a mount")],
  ["no request meets a defect", ({ evidence }) => evidence.defects.push("a request failed: no such table")],
  [
    "what was ended comes back",
    (given) =>
      Object.assign(given, { faults: [{ at: 1, kind: "reboot", failed: "the engine does not answer" }] }),
  ],
  ["a task stops for a reason", (given) => stop(given, "failed", "Its sandbox died 3 times")],
  ["a task stops for a reason", (given) => stop(given, "paused", "Interrupted by operator.")],
  ["a task stops for a reason", (given) => stop(given, "failed", "The disk is full")],
  [
    "a task stops for a reason",
    (given) => stop(given, "failed", "The task ran for 240 min, which is the limit"),
  ],
];

test.each(breaches)("the oracle sees a broken promise: %s", (promise, breakIt) => {
  const given = goodCase();
  breakIt(given);
  expect(judge(given).map((broken) => broken.promise)).toContain(promise);
});

test("there is no promise of the oracle that cannot be broken", async () => {
  const source = await Bun.file(join(import.meta.dir, "oracle.ts")).text();
  const promises = [...source.matchAll(/tell\(\s*"([^"]+)"/g)].map(([, promise]) => promise ?? "");
  expect([...new Set(promises)].sort()).toEqual([...new Set(breaches.map(([promise]) => promise))].sort());
});

test("what the faults explain is not a broken promise", () => {
  const given = goodCase();
  stop(given, "paused", "Its sandbox died 3 times");
  stop(given, "failed", "The appliance's disk is full");
  const hit = { at: 0, kind: "kill guest", taskId: "task" } as const;
  const faults = [hit, hit, hit, { at: 0, kind: "fill disk" }] as const;
  expect(judge({ ...given, faults })).toEqual([]);
  // Of a container that had gone by itself meanwhile.
  expect(judge({ ...goodCase(), faults: [{ ...hit, failed: "no such container" }] })).toEqual([]);
});

test("a story names the promise, the task, its last events and the command to see it again", () => {
  const given = goodCase();
  given.evidence.prompts.pop();
  const [engine] = [{ name: "docker", socket: "", docker: new Docker() }];
  const options = { engine, seed: 7, tasks: 12, parallel: 4, everyMs: 1500, only: ["kill agent"] as const };
  const { events } = given.evidence;
  const faults = [{ at: 0, kind: "kill agent", taskId: "task" }] as const;
  const story = tellStory({ options, broken: judge(given), faults, events, printed: "" });
  expect(story).toContain("BROKEN  no prompt is lost: the prompt mark-1-end (p1) is not in the store (task)");
  expect(story).toMatch(/4 .* turn_ended .*\n.*fault 00:00:00.000 kill agent task/);
  expect(story).toEndWith(
    'again: bun run chaos --engine docker --seed 7 --tasks 12 --parallel 4 --every 1500 --only "kill agent"',
  );
});
