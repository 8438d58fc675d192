import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { GuestEvent } from "../domain/event.ts";
import { afterEvent, type KeptPrompts, keepPrompts } from "./kept-prompts.ts";
import { openStateFile } from "./state.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "ccw-prompts-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** As another guest would find it. */
const open = () => {
  const state = openStateFile(join(folder, "state.json"));
  const tell = (event: GuestEvent) => state.update(afterEvent(state.value, event));
  return { state, prompts: keepPrompts(state), tell };
};
const prompt = (promptId: string) => ({ promptId, text: `words of ${promptId}`, images: [] });
const ended = (promptId: string, outcome: "done" | "interrupted" = "done"): GuestEvent => ({
  ...{ kind: "turn_ended", promptId, outcome, text: "" },
  usage: { inputTokens: 0, outputTokens: 0 },
});
const taken = (promptId: string): GuestEvent => ({ kind: "prompt_taken", promptId });
const add = (prompts: KeptPrompts, promptId: string, now = false) => prompts.add(prompt(promptId), now).kind;

test("one prompt has the turn; others join it, or wait for its end", () => {
  const { state, prompts, tell } = open();
  expect(add(prompts, "a")).toBe("open");
  expect(add(prompts, "b", true)).toBe("join");
  expect(add(prompts, "c")).toBe("wait");
  expect(add(prompts, "b", true)).toBe("known");
  tell(taken("b"));
  tell(ended("a"));
  expect(state.value).toMatchObject({ openPrompt: { promptId: "c" }, joining: [], nextPrompts: [] });
});

test("what came too late to join has the next turn, before what waits", () => {
  const { state, prompts, tell } = open();
  add(prompts, "a");
  add(prompts, "b", true);
  add(prompts, "c");
  tell(ended("a"));
  expect(state.value.openPrompt?.promptId).toBe("b");
  tell(ended("b"));
  expect(state.value.openPrompt?.promptId).toBe("c");
});

test("after a crash what the conversation holds was taken, and the rest is given again", () => {
  const first = open();
  add(first.prompts, "a");
  add(first.prompts, "b", true);
  add(first.prompts, "c", true);
  first.tell(taken("b"));
  const { prompts } = open();
  const { again, events } = prompts.recover((key) => key === "c");
  expect(again.map(({ promptId }) => promptId)).toEqual(["b"]);
  expect(events).toEqual([taken("c")]);
  // The appliance knows of the one that the agent forgot.
  expect(prompts.isStale(taken("b"))).toBe(true);
  expect(prompts.isStale(taken("c"))).toBe(false);
});

test("what an interrupt withdrew is not given again after a crash, and its end is told", () => {
  const first = open();
  add(first.prompts, "a");
  add(first.prompts, "b", true);
  add(first.prompts, "c");
  expect(first.prompts.interrupt()).toMatchObject([
    { kind: "turn_ended", promptId: "c", outcome: "interrupted" },
  ]);
  // The end of "c" was not told before the crash.
  const { state, prompts, tell } = open();
  const { again, events } = prompts.recover(() => false);
  expect(again).toEqual([]);
  expect(events).toMatchObject([
    { kind: "turn_ended", promptId: "b", outcome: "interrupted" },
    { kind: "turn_ended", promptId: "c", outcome: "interrupted" },
  ]);
  for (const event of events) {
    expect(prompts.endsTurn(event)).toBe(false);
    tell(event);
  }
  expect(state.value).toMatchObject({ openPrompt: { promptId: "a" }, joining: [], nextPrompts: [] });
});

test("what was interrupted counts anew when it is sent once more", () => {
  const { prompts, tell } = open();
  add(prompts, "a");
  tell(ended("a", "interrupted"));
  const { kind, prompt: again } = prompts.add(prompt("a"), false);
  expect(kind).toBe("open");
  expect(again.key).not.toBe("a");
  tell(ended("a"));
  expect(open().prompts.add(prompt("a"), false).prompt.key).toBe(again.key);
});
