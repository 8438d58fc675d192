import { afterAll, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { GuestEvent } from "../../domain/event.ts";
import { createClaudeTranslator } from "./claude-events.ts";
import { unheardIn } from "./claude-unheard.ts";
import { alsoHeard, type Heard, partOf } from "./heard.ts";

const folder = mkdtempSync(join(tmpdir(), "ccw-unheard-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const path = join(folder, "conversation.jsonl");

/** A conversation as the CLI 2.1 writes it down: one record for each block. */
const assistant = (uuid: string, block: object) => ({
  ...{ type: "assistant", uuid, isSidechain: false, parentUuid: null },
  message: { id: "msg_1", type: "message", role: "assistant", model: "m", content: [block] },
});
const records = [
  { type: "queue-operation", operation: "enqueue" },
  {
    type: "user",
    uuid: "u1",
    isSidechain: false,
    message: { role: "user", content: [{ type: "text", text: "Do it." }] },
  },
  assistant("a1", { type: "text", text: "I do it." }),
  assistant("a2", { type: "tool_use", id: "t1", name: "Bash", input: { command: "ls" } }),
  {
    ...{ type: "user", uuid: "u2", isSidechain: false },
    message: { role: "user", content: [{ type: "tool_result", tool_use_id: "t1", content: "file" }] },
  },
  { ...assistant("s1", { type: "text", text: "of a sub-agent" }), isSidechain: true },
  assistant("a3", { type: "text", text: "Done." }),
];
const write = (all: object[]) =>
  writeFileSync(path, all.map((record) => `${JSON.stringify(record)}\n`).join(""));
beforeEach(() => write(records));

const [words, use, result, done] = ["block msg_1:0", "tool_use t1", "tool_result t1", "block msg_1:2"];
const all = { upTo: "", parts: [] };
const saidIn = (heard: Heard | null) => unheardIn(path, heard).said.map(partOf);

test("what nobody was told is told, as it would have been", () => {
  const { said, upTo } = unheardIn(path, { upTo: "a1", parts: [] });
  expect(said).toMatchObject([
    { kind: "tool_use", toolUseId: "t1", name: "Bash" },
    { kind: "tool_result", toolUseId: "t1", text: "file" },
    { kind: "assistant_text", blockId: "msg_1:2", text: "Done." },
  ]);
  expect(upTo).toBe("a3");
});

test("each part is told once, in whatever order the parts were said and written", () => {
  expect(saidIn({ upTo: "a1", parts: [use, result] })).toEqual([done]);
  // Of parallel tools the one's result may be said before, and written after, the other's call.
  expect(saidIn({ upTo: "a1", parts: [done] })).toEqual([use, result]);
  expect(saidIn({ upTo: "", parts: [words, done, use] })).toEqual([result]);
  const two = [{ type: "tool_result", tool_use_id: "t8", content: "8" }];
  const both = { role: "user", content: [...two, { type: "tool_result", tool_use_id: "t9", content: "9" }] };
  write([...records, { type: "user", uuid: "u3", isSidechain: false, message: both }]);
  expect(saidIn({ upTo: "a3", parts: ["tool_result t8"] })).toEqual(["tool_result t9"]);
});

test("a message that was heard and died with the agent before it was written hides nothing of what came after it", () => {
  expect(saidIn({ upTo: "a1", parts: [use, "tool_use unwritten"] })).toEqual([result, done]);
  expect(saidIn({ upTo: "never written", parts: [use] })).toEqual([result, done]);
  // Nothing tells where it was: what is there is known, and what comes after it is not.
  expect(unheardIn(path, { upTo: "never written", parts: [] })).toEqual({ said: [], upTo: "a3" });
});

test("an answer that came in one piece is told once: one message in the file, several in the stream", () => {
  const content = [
    { type: "text", text: "Well." },
    { type: "tool_use", id: "t5", name: "Bash", input: {} },
  ];
  const whole = { ...assistant("a5", {}), message: { ...assistant("a5", {}).message, id: "msg_5", content } };
  const answer = { role: "user", content: [{ type: "tool_result", tool_use_id: "t5", content: "5" }] };
  write([...records, whole, { type: "user", uuid: "u5", isSidechain: false, message: answer }]);
  const streamed = createClaudeTranslator();
  let heard: Heard = { upTo: "a3", parts: [] };
  for (const [index, block] of content.entries()) {
    const line = { type: "assistant", uuid: `a5-${index}`, parent_tool_use_id: null };
    const message = { ...whole.message, content: [block] };
    for (const meaning of streamed(JSON.stringify({ ...line, message })))
      if (meaning.kind === "event") heard = alsoHeard(heard, meaning.event);
  }
  expect(saidIn(heard)).toEqual(["tool_result t5"]);
});

test("nothing is told twice", () => {
  expect(unheardIn(path, { upTo: "a3", parts: [] })).toEqual({ said: [], upTo: "a3" });
  const none = join(folder, "none.jsonl");
  expect(unheardIn(none, { upTo: "a3", parts: [] })).toEqual({ said: [], upTo: "a3" });
});

test("a conversation that was brought from elsewhere is known; what a first process said unheard is not", () => {
  expect(unheardIn(path, null)).toEqual({ said: [], upTo: "a3" });
  expect(unheardIn(join(folder, "none.jsonl"), null)).toEqual({ said: [], upTo: "" });
  expect(saidIn(all)).toHaveLength(4);
});

test("what was heard is found before many megabytes of what was not", () => {
  const big = Array.from({ length: 6 }, (_, i) =>
    assistant(`b${i}`, { type: "text", text: "x".repeat(1024 ** 2) }),
  );
  write([...records, ...big]);
  expect(saidIn({ upTo: "a2", parts: [result] })).toHaveLength(7);
  expect(saidIn({ upTo: "b5", parts: [] })).toEqual([]);
  expect(unheardIn(path, null)).toEqual({ said: [], upTo: "b5" });
});

test("of a long turn so much is remembered that nothing is told twice, and no more", () => {
  const textOf = (i: number): GuestEvent => ({
    kind: "assistant_text",
    text: "x",
    blockId: `msg_1:${i + 3}`,
  });
  const messages = Array.from({ length: 3000 }, (_, i) => assistant(`m${i}`, { type: "text", text: "x" }));
  // Said with neighbours swapped.
  const order = messages.map((_, i) => (i % 2 === 0 ? i + 1 : i - 1));
  write([...records, ...messages]);
  let heard: Heard = { upTo: "a3", parts: [] };
  for (const i of order.slice(0, 2900)) heard = alsoHeard(heard, textOf(i));
  expect(heard.parts.length).toBeLessThanOrEqual(1000);
  expect(unheardIn(path, heard).said).toEqual(messages.slice(2900).map((_, i) => textOf(2900 + i)));
});
