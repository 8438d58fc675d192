import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { unheardIn } from "./claude-unheard.ts";

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
writeFileSync(path, records.map((record) => `${JSON.stringify(record)}\n`).join(""));

test("what stands behind the message that was heard last is told, as it would have been", () => {
  const { events, last } = unheardIn(path, "a1");
  expect(events).toMatchObject([
    { kind: "tool_use", toolUseId: "t1", name: "Bash" },
    { kind: "tool_result", toolUseId: "t1", text: "file" },
    { kind: "assistant_text", blockId: "msg_1:2", text: "Done." },
  ]);
  expect(last).toBe("a3");
});

test("nothing is told twice, and nothing where the file is behind what was heard", () => {
  expect(unheardIn(path, "a3")).toEqual({ events: [], last: "a3" });
  expect(unheardIn(path, "never written")).toEqual({ events: [], last: "never written" });
  expect(unheardIn(join(folder, "none.jsonl"), "a3")).toEqual({ events: [], last: "a3" });
});

test("a conversation that was brought from elsewhere is known; what a first process said unheard is not", () => {
  expect(unheardIn(path, null)).toEqual({ events: [], last: "a3" });
  expect(unheardIn(join(folder, "none.jsonl"), null)).toEqual({ events: [], last: "" });
  expect(unheardIn(path, "").events).toHaveLength(4);
});
