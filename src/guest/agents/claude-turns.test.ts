import { expect, test } from "bun:test";
import type { GuestEvent } from "../../domain/event.ts";
import { createClaudeTurns } from "./claude-turns.ts";
import type { Owed } from "./owed-answer.ts";

const usage = { inputTokens: 1, outputTokens: 2 };
const result = { kind: "turn_over", outcome: "done", text: "ok", usage } as const;

/** Time passes when the test says so. */
function openTurns(lastPromptId: string | null = null, owed: () => Owed = () => "nothing") {
  const late: GuestEvent[] = [];
  const given: string[] = [];
  let waiting: (() => void) | undefined;
  const turns = createClaudeTurns({
    lastPromptId,
    give: ({ promptId }) => void given.push(promptId),
    after: (_, then) => {
      waiting = then;
      return () => {
        if (waiting === then) waiting = undefined;
      };
    },
    late: (events) => void late.push(...events),
    owed,
    goOn: () => void given.push("go on"),
  });
  return {
    turns,
    late,
    given,
    silence() {
      const then = waiting;
      waiting = undefined;
      then?.();
    },
  };
}

const named = (events: GuestEvent[]) =>
  events.flatMap((event) => ("promptId" in event ? [`${event.kind} ${event.promptId}`] : [event.kind]));

test("a turn is told at its beginning, not at the late echo, and once", () => {
  const { turns, late, silence } = openTurns();
  turns.opened({ promptId: "prm_1", uuid: "u1" });
  expect(turns.pending).toBe(true);
  expect(named(turns.began())).toEqual(["turn_started prm_1"]);
  expect(turns.taken("u1")).toEqual([]);
  expect(named(turns.over(result))).toEqual(["turn_ended prm_1"]);
  silence();
  expect(late).toEqual([]);
});

test("a slash command, which gets no echo, still ends its prompt's turn", () => {
  const { turns, late, silence } = openTurns();
  turns.opened({ promptId: "prm_1", uuid: "u1" });
  turns.began();
  expect(turns.over(result)).toEqual([]);
  silence();
  expect(named(late)).toEqual(["turn_ended prm_1"]);
});

test("a turn of the agent's own that was running when the prompt came does not end the prompt's", () => {
  const { turns, late, silence } = openTurns();
  turns.opened({ promptId: "prm_1", uuid: "u1" });
  turns.began();
  turns.taken("u1");
  turns.over(result);
  expect(named(turns.began())).toEqual(["turn_started prm_1"]);
  turns.opened({ promptId: "prm_2", uuid: "u2" });
  expect(turns.over(result)).toEqual([]);
  expect(named(turns.began())).toEqual(["turn_started prm_2"]);
  turns.taken("u2");
  expect(named(turns.over(result))).toEqual(["turn_ended prm_2"]);
  silence();
  expect(late).toEqual([]);
});

test("a prompt that is taken into a running turn starts and ends with it", () => {
  const { turns } = openTurns("prm_1");
  turns.began();
  turns.opened({ promptId: "prm_2", uuid: "u2" });
  expect(named(turns.taken("u2"))).toEqual(["turn_started prm_2"]);
  expect(named(turns.over(result))).toEqual(["turn_ended prm_2"]);
});

test("a prompt that an earlier process had answered is closed by the silence after its echo", () => {
  const { turns, late, silence } = openTurns();
  turns.opened({ promptId: "prm_1", uuid: "u1" });
  expect(turns.taken("u1")).toEqual([]);
  silence();
  expect(named(late)).toEqual(["turn_started prm_1", "notice", "turn_ended prm_1"]);
});

test("a prompt whose answer is owed is waited for, however late its turn goes on", () => {
  const { turns, late, given, silence } = openTurns(null, () => "by itself");
  turns.opened({ promptId: "prm_1", uuid: "u1" });
  turns.taken("u1");
  silence();
  expect(given).toEqual(["prm_1"]);
  for (let n = 0; n < 20; n++) silence();
  expect(given).toEqual(["prm_1", "go on"]);
  expect(late).toEqual([]);
  expect(named(turns.began())).toEqual(["turn_started prm_1"]);
  silence();
  expect(late).toEqual([]);
  expect(named(turns.over(result))).toEqual(["turn_ended prm_1"]);
});

test("an agent that owes an answer and never goes on is said to", () => {
  const { turns, late, given, silence } = openTurns(null, () => "when told");
  turns.opened({ promptId: "prm_1", uuid: "u1" });
  turns.taken("u1");
  for (let n = 0; n < 40; n++) silence();
  expect(given).toEqual(["prm_1", "go on"]);
  expect(named(late)).toEqual(["turn_started prm_1", "turn_ended prm_1"]);
  expect(late.at(-1)).toMatchObject({ outcome: "error", text: expect.stringContaining("did not go on") });
});

test("a resumed turn whose echo comes before its beginning is one turn", () => {
  const { turns, late, silence } = openTurns();
  turns.opened({ promptId: "prm_1", uuid: "u1" });
  turns.taken("u1");
  expect(named(turns.began())).toEqual(["turn_started prm_1"]);
  expect(named(turns.over(result))).toEqual(["turn_ended prm_1"]);
  silence();
  expect(late).toEqual([]);
});

test("an end without a beginning, as of a process that cannot start, ends nothing", () => {
  const { turns } = openTurns();
  turns.opened({ promptId: "prm_1", uuid: "u1" });
  expect(turns.over({ ...result, outcome: "error" })).toEqual([]);
  expect(turns.pending).toBe(true);
});

const first = { promptId: "prm_1", uuid: "u1" };
const second = { promptId: "prm_2", uuid: "u2" };
const third = { promptId: "prm_3", uuid: "u3" };

test("prompts that join a turn are given one by one, and none before the turn has begun", () => {
  const { turns, given } = openTurns();
  turns.opened(first);
  turns.joined(second);
  turns.joined(third);
  expect(given).toEqual(["prm_1"]);
  turns.began();
  expect(given).toEqual(["prm_1", "prm_2"]);
  turns.taken("u1");
  expect(named(turns.taken("u2"))).toEqual(["prompt_taken prm_2"]);
  expect(given).toEqual(["prm_1", "prm_2", "prm_3"]);
  expect(named(turns.taken("u3"))).toEqual(["prompt_taken prm_3"]);
  expect(named(turns.over(result))).toEqual(["turn_ended prm_1"]);
});

test("what the end of a turn finds not taken has turns of its own, or joins them", () => {
  const { turns, given } = openTurns();
  turns.opened(first);
  turns.began();
  turns.joined(second);
  turns.joined(third);
  turns.taken("u1");
  expect(named(turns.over(result))).toEqual(["turn_ended prm_1"]);
  expect(given).toEqual(["prm_1", "prm_2"]);
  expect(named(turns.began())).toEqual(["turn_started prm_2"]);
  expect(given).toEqual(["prm_1", "prm_2", "prm_3"]);
  turns.taken("u2");
  expect(named(turns.taken("u3"))).toEqual(["prompt_taken prm_3"]);
  expect(named(turns.over(result))).toEqual(["turn_ended prm_2"]);
});

test("a prompt that is to join after the turn's end has a turn of its own", () => {
  const { turns, given } = openTurns();
  turns.opened(first);
  turns.began();
  turns.taken("u1");
  turns.over(result);
  turns.joined(second);
  expect(given).toEqual(["prm_1", "prm_2"]);
  expect(named(turns.began())).toEqual(["turn_started prm_2"]);
});

test("what is withdrawn in time never runs, and what was taken already did", () => {
  const { turns, given } = openTurns();
  turns.opened(first);
  turns.began();
  turns.taken("u1");
  turns.joined(second);
  turns.joined(third);
  const { events, cancel } = turns.withdraw();
  expect(named(events)).toEqual(["turn_ended prm_3"]);
  expect(cancel).toBe("u2");
  expect(named(turns.withdrawn("u2", true))).toEqual(["turn_ended prm_2"]);
  expect(named(turns.over({ ...result, outcome: "interrupted" }))).toEqual(["turn_ended prm_1"]);
  expect(turns.pending).toBe(false);
  expect(given).toEqual(["prm_1", "prm_2"]);

  turns.opened(third);
  turns.began();
  turns.taken("u3");
  turns.joined(second);
  turns.withdraw();
  expect(named(turns.taken("u2"))).toEqual(["prompt_taken prm_2"]);
  expect(turns.withdrawn("u2", false)).toEqual([]);
});

test("a withdrawal that came too late, after the turn, lets the prompt have its own", () => {
  const { turns } = openTurns();
  turns.opened(first);
  turns.began();
  turns.taken("u1");
  turns.joined(second);
  turns.withdraw();
  turns.over({ ...result, outcome: "interrupted" });
  expect(turns.pending).toBe(false);
  turns.withdrawn("u2", false);
  expect(named(turns.began())).toEqual(["turn_started prm_2"]);
});

const cutOff = { ...result, outcome: "cut off" } as const;

test("a turn whose answer was cut off goes on, and has used what both parts did", () => {
  const { turns, given } = openTurns();
  turns.opened(first);
  turns.began();
  turns.taken("u1");
  expect(named(turns.over(cutOff))).toEqual(["notice"]);
  expect(given).toEqual(["prm_1", "go on"]);
  expect(turns.pending).toBe(true);
  // Told meanwhile: it joins the turn as it would have before.
  turns.joined(second);
  expect(turns.began()).toEqual([]);
  expect(given).toEqual(["prm_1", "go on", "prm_2"]);
  expect(named(turns.taken("u2"))).toEqual(["prompt_taken prm_2"]);
  const ended = turns.over(result);
  expect(named(ended)).toEqual(["turn_ended prm_1"]);
  expect(ended).toMatchObject([{ outcome: "done", usage: { inputTokens: 2, outputTokens: 4 } }]);
});

test("a turn of the agent's own goes on, too, and may be interrupted before it does", () => {
  const { turns, given } = openTurns("prm_1");
  turns.began();
  turns.over(cutOff);
  expect(given).toEqual(["go on"]);
  expect(turns.pending).toBe(true);
  turns.began();
  expect(named(turns.over(result))).toEqual(["turn_ended prm_1"]);
  expect(turns.pending).toBe(false);
});

test("a turn that a person has ended does not go on, though its answer was cut off", () => {
  const { turns, given } = openTurns();
  turns.opened(first);
  turns.began();
  turns.taken("u1");
  turns.withdraw();
  expect(turns.over(cutOff)).toMatchObject([{ kind: "turn_ended", outcome: "interrupted" }]);
  expect(given).toEqual(["prm_1"]);
  turns.opened(second);
  turns.began();
  turns.taken("u2");
  turns.over(cutOff);
  expect(given).toEqual(["prm_1", "prm_2", "go on"]);
});

test("a turn of which every answer is cut off ends, and the next one has as many tries", () => {
  const { turns, given } = openTurns();
  for (const prompt of [first, second]) {
    turns.opened(prompt);
    for (let n = 0; n < 10; n++) {
      turns.began();
      turns.taken(prompt.uuid);
      expect(named(turns.over(cutOff))).toEqual(["notice"]);
    }
    turns.began();
    expect(turns.over(cutOff)).toMatchObject([
      { kind: "turn_ended", outcome: "error", usage: { inputTokens: 11 } },
    ]);
  }
  expect(given.filter((each) => each === "go on")).toHaveLength(20);
});
