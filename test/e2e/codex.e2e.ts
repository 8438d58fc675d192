import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import type { TaskJson } from "../../src/client.ts";
import {
  type Appliance,
  bodiesOf,
  enginesUnderTest,
  freshFolder,
  reaches,
  sleeps,
  startAppliance,
  until,
} from "./appliance.ts";
import { begun, doneAgain, killContainer, lastText, removeContainer, say } from "./turns.ts";

/** Tasks of Codex: its real CLI in a container, driven and steered as Claude Code is, with the demo model as its model. */
describe.each(enginesUnderTest().map((engine) => [engine.name, engine] as const))("on %s", (_, engine) => {
  let appliance: Appliance;
  const dataFolder = freshFolder();
  beforeAll(async () => {
    appliance = await startAppliance({ engine, dataFolder });
  }, 60_000);
  afterAll(async () => {
    await appliance?.stop();
    rmSync(dataFolder, { recursive: true, force: true });
  }, 60_000);

  const api = () => appliance.client.api.tasks[":id"];
  const submit = ({ prompt, mode }: { prompt: string; mode?: "act" | "plan" }): Promise<TaskJson> =>
    appliance.client.read(
      appliance.client.api.tasks.$post({
        json: { prompt, agent: "codex", repositories: [{ name: "demo" }], ...(mode && { mode }) },
      }),
    );

  test("a failing test is fixed and pushed, the requests are metered, and every turn is kept", async () => {
    const task = await submit({ prompt: "demo: fix-test" });
    await reaches(appliance, task.id, "completed");
    const [diff] = await appliance.client.read(api().diff.$get({ param: { id: task.id } }));
    expect(diff).toMatchObject({ pushed: true });
    expect(diff?.diff).toContain(
      "+  return lines.reduce((sum, line) => sum + line.price * line.quantity, 0);",
    );
    const tools = (await bodiesOf(appliance, task.id, "tool_use")).map(({ name }) => name);
    expect(tools).toContain("Bash");
    expect(tools).toContain("apply_patch");
    const { task: shown } = await appliance.client.read(api().$get({ param: { id: task.id } }));
    expect(shown.inputTokens).toBeGreaterThan(1000);
    expect(shown.outputTokens).toBeGreaterThan(10);
    const [turn] = await bodiesOf(appliance, task.id, "turn_ended");
    expect(turn).toMatchObject({ outcome: "done", text: expect.stringContaining("passes now") });
    const [snapshot] = await bodiesOf(appliance, task.id, "snapshot");
    expect(snapshot?.session).toMatch(/^[0-9a-f]{40}$/);
    expect(await bodiesOf(appliance, task.id, "egress_refused")).toEqual([]);
    expect((await bodiesOf(appliance, task.id, "notice")).map(({ text }) => text)).toEqual([]);
  }, 120_000);

  test("a question is put before a person, and the answer goes to the model", async () => {
    const task = await submit({ prompt: "demo: ask" });
    await reaches(appliance, task.id, "waiting");
    const [asked] = await bodiesOf(appliance, task.id, "question");
    expect(asked).toMatchObject({ tool: "AskUserQuestion" });
    await appliance.client.read(
      api().answers.$post({
        param: { id: task.id },
        json: {
          requestId: asked?.requestId ?? "",
          answer: { kind: "answers", answers: { "Which colour shall I write down?": "Green" } },
        },
      }),
    );
    await reaches(appliance, task.id, "completed");
    const [diff] = await appliance.client.read(api().diff.$get({ param: { id: task.id } }));
    expect(diff?.diff).toContain("+Green");
  }, 120_000);

  test("a prompt sent at once is read within the turn that runs", async () => {
    const task = await submit({ prompt: "demo: many-tools 20" });
    await begun(appliance, task.id);
    await say(appliance, task.id, "By the way: the sky is blue.", true);
    await until("it is taken", async () => (await bodiesOf(appliance, task.id, "prompt_taken")).length === 1);
    await reaches(appliance, task.id, "completed");
    expect(await bodiesOf(appliance, task.id, "turn_started")).toHaveLength(1);
  }, 120_000);

  test("an interruption ends the turn and holds the queue; what a person says next comes first", async () => {
    const task = await submit({ prompt: "demo: slow 60" });
    await begun(appliance, task.id);
    await say(appliance, task.id, "demo: jot waiting");
    await appliance.client.read(api().interrupt.$post({ param: { id: task.id } }));
    await reaches(appliance, task.id, "paused");
    expect(await bodiesOf(appliance, task.id, "turn_ended")).toMatchObject([{ outcome: "interrupted" }]);
    await say(appliance, task.id, "demo: jot first");
    await reaches(appliance, task.id, "completed");
    expect(await lastText(appliance, task.id)).toContain("first\nwaiting");
  }, 120_000);

  test("a sandbox that is killed in mid-turn is started again, and the turn goes on", async () => {
    const task = await submit({ prompt: "demo: slow 8" });
    await begun(appliance, task.id);
    await until("a command runs", async () => (await bodiesOf(appliance, task.id, "tool_use")).length > 0);
    await killContainer(engine, task.id);
    await reaches(appliance, task.id, "completed");
    expect(await bodiesOf(appliance, task.id, "turn_ended")).toMatchObject([{ outcome: "done" }]);
    expect(await lastText(appliance, task.id)).toContain("That was slow");
  }, 120_000);

  test("a plan is put before a person, and carried out when it is approved", async () => {
    const task = await submit({ prompt: "demo: plan", mode: "plan" });
    await reaches(appliance, task.id, "waiting");
    const [asked] = await bodiesOf(appliance, task.id, "question");
    expect(asked).toMatchObject({
      tool: "ExitPlanMode",
      input: { plan: expect.stringContaining("plan.txt") },
    });
    await appliance.client.read(
      api().answers.$post({
        param: { id: task.id },
        json: { requestId: asked?.requestId ?? "", answer: { kind: "allow" } },
      }),
    );
    await reaches(appliance, task.id, "completed");
    const [diff] = await appliance.client.read(api().diff.$get({ param: { id: task.id } }));
    expect(diff?.diff).toContain("plan.txt");
    expect(await bodiesOf(appliance, task.id, "turn_ended")).toMatchObject([{ outcome: "done" }]);
  }, 120_000);

  test("the conversation goes on after sleep, and in another container where that one is gone", async () => {
    const task = await submit({ prompt: "Look around once." });
    await reaches(appliance, task.id, "completed");
    await sleeps(engine, task.id);
    await say(appliance, task.id, "Look around again.");
    await doneAgain(appliance, task.id, 2);
    await sleeps(engine, task.id);
    await removeContainer(engine, task.id);
    await say(appliance, task.id, "demo: remember");
    await doneAgain(appliance, task.id, 3);
    expect(await lastText(appliance, task.id)).toContain("Look around once.\nLook around again.");
  }, 180_000);
});
