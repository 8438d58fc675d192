import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { guestEventSchema, maxEventText } from "../../domain/event.ts";
import { type ClaudeMeaning, createClaudeTranslator } from "./claude-events.ts";

/** Streams of the real CLI 2.1.197, recorded against a scripted model. */
function recorded(name: string): ClaudeMeaning[] {
  const translate = createClaudeTranslator();
  const lines = readFileSync(join(import.meta.dir, "fixtures", `${name}.jsonl`), "utf8")
    .trim()
    .split("\n");
  return lines.flatMap(translate);
}

const eventsOf = (meanings: ClaudeMeaning[]) =>
  meanings.flatMap((meaning) => (meaning.kind === "event" ? [meaning.event] : []));
const translateOne = (message: unknown) => createClaudeTranslator()(JSON.stringify(message));

test.each([
  "hello",
  "bash",
  "think",
  "ask",
  "dangerous-rm",
  "interrupt",
  "fail",
  "broken-off",
  "background",
  "slash-command",
  "sub-agent",
  "long-command",
  "plan",
])("everything in the recorded stream %s is known and fits its schema", (name) => {
  const events = eventsOf(recorded(name));
  expect(events.filter((event) => event.kind === "unknown")).toEqual([]);
  expect(events.length).toBeGreaterThan(0);
  for (const event of events) expect(guestEventSchema.safeParse(event).success).toBe(true);
});

test("an answer streams as deltas of the block that the whole text then replaces", () => {
  const meanings = recorded("think");
  const deltas = meanings.filter((meaning) => meaning.kind === "delta");
  expect(deltas.map(({ text }) => text).join("")).toBe("All done.");
  const [thinking, whole] = eventsOf(meanings);
  expect(thinking).toMatchObject({ kind: "thinking", text: "Let me think." });
  expect(whole).toMatchObject({ kind: "assistant_text", text: "All done." });
  const blockId = whole?.kind === "assistant_text" ? whole.blockId : "";
  expect(new Set(deltas.map((delta) => delta.blockId))).toEqual(new Set([blockId]));
  expect(thinking).not.toMatchObject({ blockId });
});

test("a tool call and its failing result carry one id", () => {
  const [call, result] = eventsOf(recorded("bash"));
  expect(call).toMatchObject({
    kind: "tool_use",
    name: "Bash",
    input: { command: "echo hi; ls /nonexistent" },
  });
  expect(result).toMatchObject({ kind: "tool_result", isError: true, omitted: 0 });
  expect(result?.kind === "tool_result" && result.text).toContain("No such file or directory");
  expect(call?.kind === "tool_use" && call.toolUseId).toBe(
    result?.kind === "tool_result" && result.toolUseId,
  );
});

test.each([
  ["hello", "done", "All done."],
  ["fail", "error", "No such model here."],
  ["interrupt", "interrupted", ""],
  ["broken-off", "cut off", "Connection closed mid-response"],
])("the turn of %s is over as %s", (name, outcome, text) => {
  const over = recorded(name).find((meaning) => meaning.kind === "turn_over");
  expect(over).toMatchObject({ outcome });
  expect(over?.kind === "turn_over" && over.text).toContain(text);
});

test("a dangerous command asks, with the input that a person has to judge", () => {
  const asked = recorded("dangerous-rm").find((meaning) => meaning.kind === "asked");
  expect(asked).toMatchObject({ tool: "Bash", input: { command: "rm -rf /" } });
});

test("what two sub-agents say at once stays apart", () => {
  const translate = createClaudeTranslator();
  const say = (agent: string, id: string, text: string) =>
    eventsOf(
      translate(
        JSON.stringify({
          type: "assistant",
          message: { id, content: [{ type: "text", text }] },
          parent_tool_use_id: agent,
        }),
      ),
    );
  const ids = [say("a", "m1", "1"), say("b", "m2", "2"), say("a", "m1", "3"), say("b", "m2", "4")]
    .flat()
    .map((event) => (event.kind === "assistant_text" ? event.blockId : ""));
  expect(ids).toEqual(["m1:0", "m2:0", "m1:1", "m2:1"]);
});

test("a command that the turn waited for is told once, by its result", () => {
  expect(eventsOf(recorded("long-command")).map((event) => event.kind)).toEqual([
    "tool_use",
    "tool_result",
    "assistant_text",
  ]);
  expect(eventsOf(recorded("background"))).toContainEqual({
    kind: "notice",
    level: "info",
    text: 'Background command "run" completed (exit code 0)',
  });
});

test("a message of a kind or shape that no schema knows is kept as it came", () => {
  for (const message of [
    { type: "brand_new", payload: [1, 2] },
    { type: "system", subtype: "brand_new", text: "x" },
    { type: "assistant", message: "not an object" },
    [1],
    null,
  ]) {
    expect(eventsOf(translateOne(message))).toEqual([{ kind: "unknown", raw: message }]);
  }
});

test("a content block of an unknown type is kept, and the known ones around it too", () => {
  const message = {
    type: "assistant",
    message: {
      id: "msg_1",
      content: [
        { type: "text", text: "before" },
        { type: "hologram", data: 1 },
        { type: "text", text: "after" },
      ],
    },
  };
  expect(eventsOf(translateOne(message))).toEqual([
    { kind: "assistant_text", blockId: "msg_1:0", text: "before" },
    { kind: "unknown", raw: { type: "hologram", data: 1 } },
    { kind: "assistant_text", blockId: "msg_1:2", text: "after" },
  ]);
});

test("what is too long for an event is cut and says so", () => {
  const long = "😀".repeat(maxEventText);
  const block = (content: object) => ({ type: "user", message: { content: [content] } });
  const [result] = eventsOf(translateOne(block({ type: "tool_result", tool_use_id: "t", content: long })));
  expect(result).toMatchObject({ kind: "tool_result", omitted: maxEventText });
  const [call] = eventsOf(
    translateOne({
      type: "assistant",
      message: { id: "m", content: [{ type: "tool_use", id: "t", name: "Write", input: { content: long } }] },
    }),
  );
  expect(JSON.stringify(call)).toContain("more characters are not shown");
  const [raw] = eventsOf(translateOne({ type: "brand_new", list: Array(100_000).fill("word") }));
  for (const event of [result, call, raw]) {
    expect(guestEventSchema.safeParse(event).success).toBe(true);
    expect(JSON.stringify(event).length).toBeLessThan(2 * maxEventText);
  }
});

test("a line that is not JSON, or is nested without end, becomes a warning", () => {
  expect(eventsOf(createClaudeTranslator()("Segmentation fault"))).toEqual([
    {
      kind: "notice",
      level: "warning",
      text: "The agent wrote a line that cannot be read: Segmentation fault",
    },
  ]);
  for (const depth of [200, 100_000]) {
    const nested = `${"[".repeat(depth)}${"]".repeat(depth)}`;
    expect(eventsOf(createClaudeTranslator()(nested))).toMatchObject([{ kind: "notice", level: "warning" }]);
  }
});

test("a model that is overloaded, and a used-up account, are told in words", () => {
  const retry = { attempt: 3, max_retries: 10, retry_delay_ms: 4200, error_status: 529, error: "overloaded" };
  expect(eventsOf(translateOne({ type: "system", subtype: "api_retry", ...retry }))).toMatchObject([
    { text: "The model did not answer: overloaded (529). Try 3 of 10 in 5 s." },
  ]);
  const limit = {
    type: "rate_limit_event",
    rate_limit_info: { status: "rejected", resetsAt: 1_800_000_000 },
  };
  expect(eventsOf(translateOne(limit))).toMatchObject([
    {
      level: "error",
      text: "The usage limit of the model account is reached. It resets at 2027-01-15T08:00:00.000Z.",
    },
  ]);
});
