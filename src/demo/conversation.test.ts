import { expect, test } from "bun:test";
import { messagesRequestSchema, readConversation } from "./conversation.ts";

function read(messages: unknown[], more: object = {}) {
  return readConversation(messagesRequestSchema.parse({ model: "m", max_tokens: 1, messages, ...more }));
}
const toolUse = (id: string) => ({ type: "tool_use", id, name: "Bash", input: {} });
const toolResult = (id: string, content: unknown) => ({ type: "tool_result", tool_use_id: id, content });

test("what the agent wraps around a prompt is not the prompt", () => {
  const content = [
    { type: "text", text: "<system-reminder>\ndemo: fail\n</system-reminder>\n" },
    { type: "text", text: "demo: ask" },
    { type: "text", text: "<system-reminder>today</system-reminder>" },
  ];
  expect(read([{ role: "user", content }]).prompt).toBe("demo: ask");
});

test("steps are counted from the last real prompt; tool results and system messages are no prompts", () => {
  const conversation = read([
    { role: "user", content: "first" },
    { role: "assistant", content: "done" },
    { role: "user", content: "second" },
    { role: "system", content: "a note of the agent" },
    { role: "assistant", content: [{ type: "text", text: "one" }, toolUse("a")] },
    {
      role: "user",
      content: [
        toolResult("a", [{ type: "text", text: "out" }]),
        { type: "text", text: "a note beside a result" },
      ],
    },
    { role: "system", content: [{ type: "text", text: "another note" }] },
    { role: "assistant", content: [toolUse("b")] },
    { role: "user", content: [toolResult("b", "two")] },
  ]);
  expect(conversation.prompt).toBe("second");
  expect(conversation.steps).toEqual([
    { text: "one", uses: [{ id: "a", name: "Bash", result: { text: "out", isError: false } }] },
    { text: "", uses: [{ id: "b", name: "Bash", result: { text: "two", isError: false } }] },
  ]);
});

test("after an interruption the next prompt counts, though it stands beside a tool result", () => {
  const conversation = read([
    { role: "user", content: "first" },
    { role: "assistant", content: [toolUse("a")] },
    {
      role: "user",
      content: [
        toolResult("a", "rejected"),
        { type: "text", text: "[Request interrupted by user for tool use]" },
        { type: "text", text: "second" },
      ],
    },
  ]);
  expect(conversation).toMatchObject({ prompt: "second", steps: [] });
});

test("a turn that the agent takes up again after a crash is the same turn", () => {
  const conversation = read([
    { role: "user", content: "demo: slow 4" },
    { role: "assistant", content: [toolUse("a")] },
    { role: "user", content: [toolResult("a", "lost")] },
    { role: "user", content: "Continue from where you left off." },
  ]);
  expect(conversation.prompt).toBe("demo: slow 4");
  expect(conversation.steps.length).toBe(1);
});

test("the working folder is found in the system prompt", () => {
  const system = [{ type: "text", text: "x\n - Primary working directory: /work/my repo\n - Other: y" }];
  expect(read([{ role: "user", content: "x" }], { system }).folder).toBe("/work/my repo");
});
