import { expect, test } from "bun:test";
import type { TaskEventBody } from "./event.ts";
import { questionsOf, toolCall } from "./question-text.ts";
import { createTranscriptText } from "./transcript-text.ts";

function textOf(events: TaskEventBody[], outputLines = 10): string {
  const transcript = createTranscriptText({ outputLines });
  return events
    .flatMap((event) => transcript.add(event))
    .map(({ text }) => text)
    .join("\n");
}

const usage = { inputTokens: 1200, outputTokens: 34 };

test("a task reads from its prompt to its end", () => {
  expect(
    textOf([
      { kind: "state", state: "queued", detail: "" },
      { kind: "prompt", promptId: "p", person: "ada", text: "Fix the test.\nThen commit." },
      { kind: "step_done", step: "clone", ms: 1234 },
      { kind: "assistant_text", blockId: "b", text: "I look at it." },
      { kind: "tool_use", toolUseId: "t", name: "Bash", input: { command: "npm test" } },
      { kind: "tool_result", toolUseId: "t", isError: false, text: "3 pass\n", omitted: 0 },
      { kind: "turn_ended", promptId: "p", outcome: "done", text: "", usage },
      { kind: "pushed", repository: "demo", branch: "claude/fix", commit: "0123456789abcdef" },
      { kind: "state", state: "completed", detail: "All green." },
    ]),
  ).toBe(
    [
      "· queued",
      "",
      "> ada",
      "  Fix the test.",
      "  Then commit.",
      "· Clone done in 1.2 s",
      "",
      "I look at it.",
      "",
      "* Bash(npm test)",
      "  | 3 pass",
      "· Turn done: 1,200 tokens in, 34 out",
      "Pushed claude/fix to demo at 0123456789.",
      "",
      "= Completed: All green.",
    ].join("\n"),
  );
});

test("what is being written shows until its block is whole", () => {
  const transcript = createTranscriptText();
  transcript.add({ kind: "assistant_delta", blockId: "b", text: "Hel" });
  transcript.add({ kind: "assistant_delta", blockId: "b", text: "lo" });
  expect(transcript.pending().at(-1)?.text).toBe("Hello");
  expect(transcript.add({ kind: "assistant_text", blockId: "b", text: "Hello." }).at(-1)?.text).toBe(
    "Hello.",
  );
  expect(transcript.pending()).toEqual([]);
});

test("the words of a turn that was cut off are kept", () => {
  expect(
    textOf([
      { kind: "assistant_delta", blockId: "b", text: "half a sen" },
      { kind: "turn_ended", promptId: "p", outcome: "interrupted", text: "", usage },
    ]),
  ).toContain("half a sen");
});

test("blocks that are begun and never ended do not pile up", () => {
  const transcript = createTranscriptText();
  for (let n = 0; n < 1000; n++) {
    transcript.add({ kind: "assistant_delta", blockId: `b${n}`, text: "x".repeat(1000) });
    transcript.add({ kind: "assistant_delta", blockId: "one", text: "y".repeat(1000) });
  }
  const held = transcript.pending().reduce((sum, { text }) => sum + text.length, 0);
  expect(held).toBeLessThan(100_000);
});

test("long output is cut and says how much is missing", () => {
  const text = Array.from({ length: 25 }, (_, index) => `line ${index}`).join("\n");
  const shown = textOf([{ kind: "tool_result", toolUseId: "t", isError: true, text, omitted: 5000 }], 3);
  expect(shown.split("\n")).toEqual([
    "  | line 0",
    "  | line 1",
    "  | line 2",
    "  | … 22 more lines, 5,000 characters left out",
  ]);
});

const hostile = "\x1b[2J\x1b]0;x\x07\u202e\u009b{red-fg}\r\x00";
const everyKind: TaskEventBody[] = [
  { kind: "state", state: hostile, detail: hostile },
  { kind: "state", state: "failed", detail: hostile },
  { kind: "prompt", promptId: "p", person: hostile, text: hostile },
  { kind: "prompt", promptId: "p", person: "ada", text: "look", attachments: [hostile] },
  { kind: "prompt_removed", promptId: "p", person: hostile },
  { kind: "prompt_edited", promptId: "p", person: hostile, text: hostile },
  { kind: "prompt_moved", promptId: "p", person: hostile, position: 1 },
  { kind: "prompt_sent_now", promptId: "p", person: hostile },
  { kind: "prompt_taken", promptId: "p" },
  { kind: "snapshot", promptId: "p", repositories: [null], session: "", ms: 12 },
  { kind: "cancel_requested", person: hostile },
  { kind: "interrupt_requested", person: hostile },
  { kind: "resume_requested", person: hostile },
  { kind: "model_changed", person: hostile, model: hostile },
  { kind: "mode_changed", person: hostile, mode: "plan" },
  { kind: "pause_requested", why: "usage_limit", reason: hostile, hint: hostile, until: 0 },
  { kind: "state", state: "paused", detail: hostile },
  { kind: "state", state: "idle", detail: hostile },
  { kind: "sandbox_asleep", sandboxId: "s", reason: hostile },
  { kind: "sandbox_removed", sandboxId: "s", reason: hostile },
  { kind: "rolled_back", person: hostile, turn: 2 },
  {
    ...{ kind: "rolled_back_push", repository: hostile, branch: hostile, over: hostile, commit: hostile },
    taken: true,
  },
  { kind: "question", requestId: "q", tool: "ExitPlanMode", input: { plan: hostile } },
  { kind: "step_started", step: "setup", detail: hostile },
  { kind: "step_output", step: "setup", text: hostile },
  { kind: "assistant_text", blockId: "b", text: hostile },
  { kind: "thinking", blockId: "b", text: hostile },
  { kind: "tool_use", toolUseId: "t", name: hostile, input: { command: hostile } },
  { kind: "tool_use", toolUseId: "t", name: hostile, input: { [hostile]: [hostile] } },
  { kind: "tool_result", toolUseId: "t", isError: false, text: hostile, omitted: 0 },
  { kind: "question", requestId: "q", tool: hostile, input: { command: hostile } },
  {
    kind: "question",
    requestId: "q",
    tool: "AskUserQuestion",
    input: { questions: [{ question: hostile, options: [{ label: hostile, description: hostile }] }] },
  },
  { kind: "answered", requestId: "q", person: hostile, answer: { behavior: "deny", message: hostile } },
  { kind: "turn_ended", promptId: "p", outcome: "error", text: hostile, usage },
  { kind: "notice", level: "warning", text: hostile },
  { kind: "unknown", raw: { x: hostile } },
  { kind: "pushed", repository: hostile, branch: hostile, commit: hostile },
  { kind: "finished", outcome: "failed", text: hostile, hint: hostile },
  { kind: "sandbox_started", sandboxId: "s", engine: hostile, image: hostile },
  { kind: "sandbox_died", sandboxId: "s", exitCode: 1, reason: hostile },
  { kind: "push_refused", repository: hostile, ref: hostile, reason: hostile },
  { kind: "egress_refused", target: hostile, reason: hostile },
  { kind: "access_requested", requestId: 1, host: hostile, port: 443, reason: hostile },
  { kind: "access_granted", requestId: 1, host: hostile, port: 443, scope: "task", person: hostile },
  { kind: "access_denied", requestId: 1, host: hostile, port: 443, person: hostile },
  { kind: "access_expired", requestId: 1, host: hostile, port: 443 },
  { kind: "limit_reached", reason: hostile, hint: hostile },
];

test.each(everyKind.map((event) => [event.kind, event] as const))(
  "an event %s cannot speak to the terminal",
  (_, event) => {
    const shown = textOf([event]);
    expect(shown).not.toBe("");
    expect(shown).not.toMatch(/[^\P{Cc}\n]|[\u202a-\u202e]/u);
  },
);

test("a plan is asked about in its own words, line by line", () => {
  const input = { plan: "1. Look\n2. Mend" };
  expect(textOf([{ kind: "question", requestId: "q", tool: "ExitPlanMode", input }]).split("\n")).toEqual([
    "? The agent has a plan, and asks for leave to carry it out:",
    "    1. Look",
    "    2. Mend",
  ]);
});

test("a tool call shows the part of its input that people look for", () => {
  expect(toolCall("Edit", { file_path: "/work/a.ts", old_string: "x" })).toBe("Edit(/work/a.ts)");
  expect(toolCall("TaskList", {})).toBe("TaskList()");
  expect(toolCall("Odd", { a: 1 })).toBe('Odd({"a":1})');
});

test("questions of any other shape are none", () => {
  expect(
    questionsOf("AskUserQuestion", {
      questions: [{ question: 5 }, null, { question: "Which?", options: "no" }],
    }),
  ).toEqual([{ question: "Which?", options: [] }]);
  expect(questionsOf("AskUserQuestion", "text")).toEqual([]);
  expect(questionsOf("mcp__forms__send", { questions: [{ question: "Which?" }] })).toEqual([]);
});
