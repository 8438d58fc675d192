import { expect, test } from "bun:test";
import type { GuestEvent } from "../../domain/event.ts";
import type { CodexTurn } from "./codex-messages.ts";
import { createCodexTurns } from "./codex-turns.ts";

const prompt = (promptId: string) => ({ promptId, key: promptId, text: `do ${promptId}`, images: [] });
const ended = (id: string, status: CodexTurn["status"], items: CodexTurn["items"] = []): CodexTurn => ({
  ...{ id, status, items },
  error: null,
});

function openTurns(earlier?: CodexTurn) {
  const events: GuestEvent[] = [];
  const asked: string[] = [];
  let isPlanning = false;
  let decide: (verdict: { kind: "act" } | { kind: "replan"; message: string }) => void = () => {};
  let canSteer = true;
  const turns = createCodexTurns({
    lastPromptId: null,
    say: (more) => void events.push(...more),
    start: async (input) =>
      void asked.push(input.kind === "words" ? input.text : `start ${input.prompt.key}`),
    async steer(turnId, { key }) {
      asked.push(`steer ${turnId} ${key}`);
      if (!canSteer) throw new Error("no active turn to steer");
    },
    stop: (turnId) => void asked.push(`stop ${turnId}`),
    earlier: async () => earlier,
    isPlanning: () => isPlanning,
    propose(_, decided) {
      decide = decided;
    },
    approved() {
      isPlanning = false;
    },
  });
  return {
    ...{ turns, asked, decide: (verdict: Parameters<typeof decide>[0]) => decide(verdict) },
    plan() {
      isPlanning = true;
    },
    refuseSteering() {
      canSteer = false;
    },
    told: () =>
      events.map((event) =>
        event.kind === "turn_ended"
          ? `${event.outcome} ${event.promptId}`
          : "promptId" in event
            ? `${event.kind} ${event.promptId}`
            : event.kind,
      ),
  };
}

/** Lets what was promised happen. */
const soon = () => Bun.sleep(1);

test("what is sent at once is told within the turn, and counts as taken when Codex says so", async () => {
  const { turns, asked, told } = openTurns();
  turns.opened(prompt("a"));
  await soon();
  turns.joined(prompt("b"));
  expect(asked).toEqual(["start a"]);
  turns.began("t1");
  expect(asked).toEqual(["start a", "steer t1 b"]);
  turns.took("b");
  turns.over(ended("t1", "completed"));
  expect(told()).toEqual(["turn_started a", "prompt_taken b", "done a"]);
});

test("what came too late for a turn has one of its own", async () => {
  const { turns, asked, told, refuseSteering } = openTurns();
  turns.opened(prompt("a"));
  await soon();
  turns.began("t1");
  refuseSteering();
  turns.joined(prompt("b"));
  turns.over(ended("t1", "completed"));
  await soon();
  turns.began("t2");
  turns.over(ended("t2", "completed"));
  expect(asked).toEqual(["start a", "steer t1 b", "start b"]);
  expect(told()).toEqual(["turn_started a", "done a", "turn_started b", "done b"]);
});

test("an interruption reaches a turn that has not begun yet, and what was to join it never runs", async () => {
  const { turns, asked, told } = openTurns();
  turns.opened(prompt("a"));
  turns.joined(prompt("b"));
  turns.interrupt();
  await soon();
  turns.began("t1");
  expect(asked).toEqual(["start a", "stop t1"]);
  turns.over(ended("t1", "interrupted"));
  expect(told()).toEqual(["interrupted b", "turn_started a", "interrupted a"]);
});

test("after a death a turn that was cut off goes on, and one that had ended is not done again", async () => {
  const cut = openTurns(ended("t0", "interrupted"));
  cut.turns.opened(prompt("a"));
  await soon();
  expect(cut.asked).toEqual(["Continue from where you left off."]);
  const whole = openTurns(ended("t0", "completed"));
  whole.turns.opened(prompt("a"));
  await soon();
  expect(whole.asked).toEqual([]);
  expect(whole.told()).toEqual(["turn_started a", "notice", "done a"]);
});

test("a plan holds its prompt's turn until a person has decided", async () => {
  const { turns, asked, told, plan, decide } = openTurns();
  plan();
  turns.opened(prompt("a"));
  await soon();
  for (const [turnId, verdict] of [
    ["t1", { kind: "replan", message: "shorter" }],
    ["t2", { kind: "act" }],
  ] as const) {
    turns.began(turnId);
    turns.planned("# Plan");
    turns.over(ended(turnId, "completed"));
    decide(verdict);
  }
  turns.began("t3");
  turns.over(ended("t3", "completed"));
  expect(asked).toEqual(["start a", "shorter", "The plan is approved. Carry it out."]);
  expect(told()).toEqual(["turn_started a", "done a"]);
});
