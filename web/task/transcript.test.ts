import { expect, test } from "bun:test";
import type { TaskEvent, TaskEventBody } from "../../src/domain/event.ts";
import { emptyTranscript, extend } from "./transcript.ts";

const numbered = (bodies: TaskEventBody[], from = 1): TaskEvent[] =>
  bodies.map((body, index) => ({ seq: from + index, taskId: "tsk_1", at: 1000 + index, body }));
const read = (...bodies: TaskEventBody[]) => extend(emptyTranscript, numbered(bodies));

test("deltas grow one block, and the final text takes their place", () => {
  const half = read(
    { kind: "assistant_delta", blockId: "b", text: "Hel" },
    { kind: "assistant_delta", blockId: "b", text: "lo" },
  );
  expect(half.items).toMatchObject([{ kind: "text", text: "Hello", open: true }]);
  const whole = extend(
    half,
    numbered(
      [
        { kind: "assistant_text", blockId: "b", text: "Hello!" },
        { kind: "assistant_delta", blockId: "b", text: "late" },
      ],
      3,
    ),
  );
  expect(whole.items).toMatchObject([{ kind: "text", text: "Hello!", open: false }]);
  expect(half.items).toMatchObject([{ text: "Hello" }]);
});

test("events that came before are not added twice", () => {
  const events = numbered([{ kind: "notice", level: "info", text: "one" }]);
  expect(extend(extend(emptyTranscript, events), events).items).toHaveLength(1);
});

test("a result stands beside its call, whatever came between", () => {
  const { items } = read(
    { kind: "tool_use", toolUseId: "1", name: "Bash", input: { command: "ls" } },
    { kind: "tool_use", toolUseId: "2", name: "Read", input: {} },
    { kind: "tool_result", toolUseId: "1", isError: false, text: "a", omitted: 0 },
    { kind: "tool_result", toolUseId: "lost", isError: true, text: "b", omitted: 3 },
  );
  expect(items).toMatchObject([
    { name: "Bash", result: { text: "a" } },
    { name: "Read", result: undefined },
    { name: "Result", result: { isError: true } },
  ]);
});

test("later prompts wait until the agent takes them", () => {
  const before = read(
    { kind: "prompt", promptId: "1", person: "ada", text: "first" },
    { kind: "turn_started", promptId: "1" },
    { kind: "prompt", promptId: "2", person: "ada", text: "second" },
    { kind: "assistant_text", blockId: "b", text: "done" },
  );
  expect(before.items.map(({ kind }) => kind)).toEqual(["prompt", "text"]);
  expect(before.waiting).toMatchObject([{ text: "second" }]);
  const after = extend(before, numbered([{ kind: "turn_started", promptId: "2" }], 9));
  expect(after.items.map(({ kind }) => kind)).toEqual(["prompt", "text", "prompt"]);
  expect(after.waiting).toEqual([]);
});

test("a prompt that was changed shows its last words, where it waits and where it is taken", () => {
  const before = read(
    { kind: "prompt", promptId: "1", person: "ada", text: "first" },
    { kind: "prompt_edited", promptId: "1", person: "ada", text: "First" },
    { kind: "turn_started", promptId: "1" },
    { kind: "prompt", promptId: "2", person: "ada", text: "second" },
    { kind: "prompt_edited", promptId: "2", person: "ada", text: "Second" },
    { kind: "prompt_sent_now", promptId: "2", person: "ada" },
  );
  expect(before.items[0]).toMatchObject({ kind: "prompt", text: "First" });
  expect(before.waiting).toMatchObject([{ text: "Second" }]);
  const after = extend(before, numbered([{ kind: "prompt_taken", promptId: "2" }], 9));
  expect(after.items.at(-1)).toMatchObject({ kind: "prompt", text: "Second" });
  expect(after.waiting).toEqual([]);
});

test("each turn that is saved says which one it is, in one quiet line", () => {
  const saved = (promptId: string): TaskEventBody => ({
    ...{ kind: "snapshot", promptId, repositories: [], session: "", ms: 1 },
  });
  // The first one twice: when its work was committed.
  expect(extend(read(saved("1")), numbered([saved("1"), saved("2")], 5)).items).toMatchObject([
    { kind: "line", tone: "quiet", text: "Turn 1 saved" },
    { kind: "line", tone: "quiet", text: "Turn 2 saved" },
  ]);
});

test("a step collects its output and says how long it took", () => {
  const { items } = read(
    { kind: "step_started", step: "clone", detail: "demo" },
    { kind: "step_output", step: "clone", text: "Cloning\n" },
    { kind: "step_output", step: "clone", text: "done\n" },
    { kind: "step_done", step: "clone", ms: 42 },
  );
  expect(items).toMatchObject([{ output: "Cloning\ndone\n", ms: 42 }]);
});

test("a question is open until it is answered, closed, or its sandbox is replaced", () => {
  const ask = (requestId: string): TaskEventBody => ({
    kind: "question",
    requestId,
    tool: "Bash",
    input: {},
  });
  const { items } = read(
    ask("1"),
    ask("2"),
    ask("3"),
    { kind: "answered", requestId: "1", person: "ada", answer: { behavior: "allow" } },
    { kind: "question_closed", requestId: "1" },
    { kind: "question_closed", requestId: "2" },
    { kind: "sandbox_started", sandboxId: "sbx", engine: "podman", image: "slim" },
    ask("4"),
  );
  expect(items.flatMap((item) => (item.kind === "question" ? [item.outcome.kind] : []))).toEqual([
    "answered",
    "closed",
    "closed",
    "open",
  ]);
});

test("an event that the agent's schema does not know is kept as it came", () => {
  expect(read({ kind: "unknown", raw: { type: "new_thing" } }).items).toMatchObject([
    { kind: "raw", raw: { type: "new_thing" } },
  ]);
});

test("the guest's last word says why it failed", () => {
  expect(
    read({ kind: "finished", outcome: "failed", text: "No push.", hint: "Try again." }).items,
  ).toMatchObject([{ tone: "error", text: "No push.", detail: "Try again." }]);
});
