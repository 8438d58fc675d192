import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { owedAnswer } from "./owed-answer.ts";

/** Lines as the CLI 2.1 writes them, without what does not count. */
const prompt = { type: "user", message: { role: "user", content: "Fix it" } };
const words = { type: "assistant", message: { content: [{ type: "text", text: "It is done." }] } };
const use = {
  type: "assistant",
  message: { content: [{ type: "tool_use", id: "t", name: "Bash", input: {} }] },
};
const result = {
  type: "user",
  message: { content: [{ type: "tool_result", tool_use_id: "t", content: "" }] },
};
const stopped = {
  type: "user",
  message: { content: [{ type: "text", text: "[Request interrupted by user for tool use]" }] },
};
const goesOn = {
  ...{ type: "user", isMeta: true },
  message: { content: [{ type: "text", text: "Continue from where you left off." }] },
};
const apiError = (text: string) => ({
  ...words,
  isApiErrorMessage: true,
  message: { content: [{ type: "text", text }] },
});
const brokenOff = apiError(
  "API Error: Connection closed mid-response. The response above may be incomplete.",
);
const refused = apiError("API Error: 400 No such model.");
const aside = { ...prompt, isSidechain: true };
const other = { type: "queue-operation", operation: "enqueue" };

test.each([
  ["nothing", [], "nothing"],
  ["a prompt", [prompt], "by itself"],
  ["an answer", [prompt, words], "nothing"],
  ["a tool that was being used", [prompt, words, use], "by itself"],
  ["a tool's result", [prompt, use, result], "by itself"],
  ["an interruption", [prompt, use, result, stopped], "nothing"],
  ["a prompt behind an answer", [prompt, words, prompt], "by itself"],
  ["the CLI's own word to go on", [prompt, use, result, goesOn], "when told"],
  ["an answer that broke off", [prompt, words, brokenOff], "when told"],
  ["a tool that was being used when its answer broke off", [prompt, use, brokenOff], "when told"],
  ["a refusal of the model's", [prompt, refused], "nothing"],
  ["what sub-agents and the CLI write for themselves", [prompt, words, aside, other], "nothing"],
] as const)("of a conversation that ends with %s", (_, records, owed) => {
  const folder = mkdtempSync(join(tmpdir(), "ccw-owed-"));
  const path = join(folder, "c.jsonl");
  const lines = records.map((record) => `${JSON.stringify(record)}\n`).join("");
  // The last line is torn, as by a kill.
  writeFileSync(path, `${lines}{"type":"user","mess`);
  expect(owedAnswer(path)).toBe(owed);
  rmSync(folder, { recursive: true });
});

test("of a conversation that is not there nothing is owed", () => {
  expect(owedAnswer("/nonexistent/c.jsonl")).toBe("nothing");
});
