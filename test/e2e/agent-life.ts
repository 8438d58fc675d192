import { expect } from "bun:test";
import type { TaskJson } from "../../src/client.ts";
import {
  type Appliance,
  bodiesOf,
  type EngineUnderTest,
  reaches,
  type Submission,
  sleeps,
  submit,
  until,
} from "./appliance.ts";
import { begun, doneAgain, killContainer, lastText, removeContainer, say } from "./turns.ts";

/** What every agent does alike, whatever drives it: each of these hands over a task and follows it to its end. */

export interface AgentUnderTest {
  appliance: Appliance;
  engine: EngineUnderTest;
  agent: string;
}

const handOver = ({ appliance, agent }: AgentUnderTest, task: Submission): Promise<TaskJson> =>
  submit(appliance, { ...task, agent });

const commandRuns = (appliance: Appliance, id: string) =>
  until("a command runs", async () => (await bodiesOf(appliance, id, "tool_use")).length > 0);

/** `editsWith`: its own tool for that. Resolves with the task. */
export async function fixesTheTest(under: AgentUnderTest, editsWith: string): Promise<string> {
  const { appliance } = under;
  const { id } = await handOver(under, { prompt: "demo: fix-test" });
  await reaches(appliance, id, "completed");
  const [diff] = await appliance.client.read(appliance.client.api.tasks[":id"].diff.$get({ param: { id } }));
  expect(diff).toMatchObject({ pushed: true });
  expect(diff?.diff).toContain("+  return lines.reduce((sum, line) => sum + line.price * line.quantity, 0);");
  const tools = (await bodiesOf(appliance, id, "tool_use")).map(({ name }) => name);
  expect(tools).toContain("Bash");
  expect(tools).toContain(editsWith);
  const [turn] = await bodiesOf(appliance, id, "turn_ended");
  expect(turn).toMatchObject({ outcome: "done", text: expect.stringContaining("passes now") });
  await wasMeteredAndKept(under, id);
  return id;
}

async function wasMeteredAndKept({ appliance }: AgentUnderTest, id: string): Promise<void> {
  const { task } = await appliance.client.read(appliance.client.api.tasks[":id"].$get({ param: { id } }));
  expect(task.inputTokens).toBeGreaterThan(1000);
  expect(task.outputTokens).toBeGreaterThan(10);
  const [snapshot] = await bodiesOf(appliance, id, "snapshot");
  expect(snapshot?.session).toMatch(/^[0-9a-f]{40}$/);
  expect((await bodiesOf(appliance, id, "notice")).map(({ text }) => text)).toEqual([]);
}

export async function isInterrupted(under: AgentUnderTest): Promise<void> {
  const { appliance } = under;
  const { id } = await handOver(under, { prompt: "demo: slow 16" });
  await commandRuns(appliance, id);
  await say(appliance, id, "demo: jot waiting");
  await appliance.client.read(appliance.client.api.tasks[":id"].interrupt.$post({ param: { id } }));
  await reaches(appliance, id, "paused");
  expect(await bodiesOf(appliance, id, "turn_ended")).toMatchObject([{ outcome: "interrupted" }]);
  // By its own doing, and not because it was ended after a while.
  expect(await bodiesOf(appliance, id, "notice")).toEqual([]);
  await say(appliance, id, "demo: jot first");
  await reaches(appliance, id, "completed");
  expect(await lastText(appliance, id)).toContain("first\nwaiting");
}

export async function isKilledInMidTurn(under: AgentUnderTest): Promise<void> {
  const { appliance, engine } = under;
  const { id } = await handOver(under, { prompt: "demo: slow 20" });
  await begun(appliance, id);
  await commandRuns(appliance, id);
  await killContainer(engine, id);
  await reaches(appliance, id, "completed");
  expect(await bodiesOf(appliance, id, "turn_ended")).toMatchObject([{ outcome: "done" }]);
  expect(await lastText(appliance, id)).toContain("That was slow");
  await say(appliance, id, "demo: remember");
  await doneAgain(appliance, id, 2);
  // Given once, however often the agent was started.
  expect((await lastText(appliance, id)).match(/demo: slow 20/g)).toHaveLength(1);
}

export async function plansFirst(under: AgentUnderTest): Promise<void> {
  const { appliance } = under;
  const { id } = await handOver(under, { prompt: "demo: plan", mode: "plan" });
  await reaches(appliance, id, "waiting");
  const [asked] = await bodiesOf(appliance, id, "question");
  expect(asked).toMatchObject({
    tool: "ExitPlanMode",
    input: { plan: expect.stringContaining("plan.txt") },
  });
  const json = { requestId: asked?.requestId ?? "", answer: { kind: "allow" as const } };
  const api = appliance.client.api.tasks[":id"];
  await appliance.client.read(api.answers.$post({ param: { id }, json }));
  await reaches(appliance, id, "completed");
  const [diff] = await appliance.client.read(api.diff.$get({ param: { id } }));
  expect(diff?.diff).toContain("plan.txt");
  expect(await bodiesOf(appliance, id, "turn_ended")).toMatchObject([{ outcome: "done" }]);
}

/** Its tests are run by leave of a person, its edit is refused, and it says so. */
export async function changesNothingYet(under: AgentUnderTest): Promise<void> {
  const { appliance } = under;
  const { id } = await handOver(under, { prompt: "demo: fix-test", mode: "plan" });
  await reaches(appliance, id, "waiting");
  const questions = await bodiesOf(appliance, id, "question");
  expect(questions).toMatchObject([{ input: { command: expect.stringContaining("node --test") } }]);
  const json = { requestId: questions[0]?.requestId ?? "", answer: { kind: "allow" as const } };
  const api = appliance.client.api.tasks[":id"];
  await appliance.client.read(api.answers.$post({ param: { id }, json }));
  await reaches(appliance, id, "completed");
  expect(await bodiesOf(appliance, id, "turn_ended")).toMatchObject([
    { outcome: "done", text: expect.stringContaining("The edit was refused.") },
  ]);
  const diffs = await appliance.client.read(api.diff.$get({ param: { id } }));
  expect(diffs.map(({ diff }) => diff).join("")).toBe("");
}

export async function remembersElsewhere(under: AgentUnderTest): Promise<void> {
  const { appliance, engine } = under;
  const { id } = await handOver(under, { prompt: "Look around once." });
  await reaches(appliance, id, "completed");
  await sleeps(engine, id);
  await say(appliance, id, "Look around again.");
  await doneAgain(appliance, id, 2);
  await sleeps(engine, id);
  await removeContainer(engine, id);
  await say(appliance, id, "demo: remember");
  await doneAgain(appliance, id, 3);
  expect(await lastText(appliance, id)).toContain("Look around once.\nLook around again.");
}
