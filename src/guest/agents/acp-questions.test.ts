import { afterEach, beforeEach, expect, test } from "bun:test";
import { createAcpHouse, type PlayedAgent } from "./acp.fixture.ts";

/** What an agent asks leave for, and what it does without asking. */

let house: ReturnType<typeof createAcpHouse>;
beforeEach(() => {
  house = createAcpHouse();
});
afterEach(() => house.close());

const asking = (kind: string, answers: unknown[]): PlayedAgent => ({
  async prompt({ client, sessionId }) {
    const toolCall = {
      toolCallId: "t",
      title: "does it",
      kind: kind as "edit",
      rawInput: { plan: "1. all" },
    };
    const options = [
      { optionId: "a", name: "No, never", kind: "allow_always" as const },
      { optionId: "b", name: "No", kind: "allow_once" as const },
      { optionId: "c", name: "Yes", kind: "reject_once" as const },
    ];
    answers.push(await client.request("session/request_permission", { sessionId, toolCall, options }));
    return { stopReason: "end_turn" };
  },
});
const selected = (optionId: string) => [{ outcome: { outcome: "selected", optionId } }];

test("leave is given in the sandbox, by an option's kind and not by its name", async () => {
  const answers: unknown[] = [];
  const agent = house.start(asking("execute", answers));
  agent.prompt("p1");
  await agent.until(() => agent.of("turn_ended").length === 1);
  expect(answers).toEqual(selected("b"));
  expect(agent.of("question")).toEqual([]);
});

test("in plan mode an edit is refused, reading is not, and the plan is put before a person", async () => {
  for (const [kind, option] of [
    ["edit", "c"],
    ["read", "b"],
  ] as const) {
    const answers: unknown[] = [];
    const agent = house.start(asking(kind, answers), { mode: "plan" });
    agent.prompt(kind);
    await agent.until(() => agent.of("turn_ended").length === 1);
    expect(answers).toEqual(selected(option));
  }
  const answers: unknown[] = [];
  const agent = house.start(asking("switch_mode", answers), { mode: "plan" });
  agent.prompt("p1");
  await agent.until(() => agent.of("question").length === 1);
  const [question] = agent.of("question");
  expect(question).toMatchObject({ tool: "ExitPlanMode", input: { plan: "1. all" } });
  await agent.run.answer(question?.requestId ?? "", { behavior: "allow" });
  await agent.until(() => agent.of("turn_ended").length === 1);
  expect(answers).toEqual(selected("b"));
  expect(agent.modes).toEqual(["act"]);
});

test("what a person says to a plan that they refuse is said to the agent within the turn", async () => {
  const answers: unknown[] = [];
  const agent = house.start(asking("switch_mode", answers), { mode: "plan" });
  agent.prompt("p1");
  await agent.until(() => agent.of("question").length === 1);
  await agent.run.answer(agent.of("question")[0]?.requestId ?? "", { behavior: "deny", message: "Smaller." });
  await agent.until(() => agent.of("question").length === 2);
  expect(JSON.stringify(house.askedFor("session/prompt")[1])).toContain("Smaller.");
  await agent.run.answer(agent.of("question")[1]?.requestId ?? "", { behavior: "allow" });
  await agent.until(() => agent.of("turn_ended").length === 1);
  expect(agent.of("turn_started")).toHaveLength(1);
});

/** An agent that calls a tool without asking, and goes on until it is stopped. */
const acting = (call: object): PlayedAgent => ({
  async prompt({ say, cancelled }) {
    await say({
      sessionUpdate: "tool_call",
      toolCallId: "t",
      title: "Edit a.txt",
      status: "pending",
      ...call,
    });
    await say({ sessionUpdate: "tool_call_update", toolCallId: "t", status: "completed" });
    const isStopped = await Promise.race([cancelled.then(() => true), Bun.sleep(100).then(() => false)]);
    return { stopReason: isStopped ? "cancelled" : "end_turn" };
  },
});

test("an agent that changes files unasked is stopped in plan mode, and it is said why", async () => {
  const inside = { kind: "edit", locations: [{ path: `${house.home}/a.txt` }] };
  const end = async (played: PlayedAgent, mode: "act" | "plan") => {
    const agent = house.start(played, { mode });
    agent.prompt(crypto.randomUUID());
    await agent.until(() => agent.of("turn_ended").length === 1);
    await agent.run.kill();
    return agent.of("turn_ended")[0];
  };
  expect(await end(acting(inside), "plan")).toMatchObject({
    outcome: "error",
    text: expect.stringContaining(`in plan mode, and without asking, it changed ${house.home}/a.txt`),
  });
  expect(await end(acting({ kind: "delete" }), "plan")).toMatchObject({ outcome: "error" });
  expect(await end(acting(inside), "act")).toMatchObject({ outcome: "done" });
  const plan = `${house.home}/.agent/plans/it.md`;
  for (const call of [
    { kind: "read" },
    { kind: "edit", locations: [{ path: "/elsewhere/notes" }] },
    { kind: "edit", locations: [{ path: plan }] },
  ])
    expect(await end(acting(call), "plan")).toMatchObject({ outcome: "done" });
});
