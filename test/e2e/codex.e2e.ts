import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import {
  fixesTheTest,
  isInterrupted,
  isKilledInMidTurn,
  plansFirst,
  remembersElsewhere,
} from "./agent-life.ts";
import {
  type Appliance,
  bodiesOf,
  enginesUnderTest,
  freshFolder,
  reaches,
  startAppliance,
  submit,
  until,
} from "./appliance.ts";
import { begun, say } from "./turns.ts";

/** Tasks of Codex: its real CLI in a container, driven and steered as Claude Code is, with the demo model as its model. */
describe.each(enginesUnderTest().map((engine) => [engine.name, engine] as const))("on %s", (_, engine) => {
  let appliance: Appliance;
  const dataFolder = freshFolder();
  beforeAll(async () => {
    appliance = await startAppliance({ engine, dataFolder });
  }, 600_000);
  afterAll(async () => {
    await appliance?.stop();
    rmSync(dataFolder, { recursive: true, force: true });
  }, 600_000);

  const api = () => appliance.client.api.tasks[":id"];
  const codex = () => ({ appliance, engine, agent: "codex" });

  test(
    "a failing test is fixed and pushed, the requests are metered, and every turn is kept",
    () => fixesTheTest(codex(), "apply_patch"),
    600_000,
  );

  test("a question is put before a person, and the answer goes to the model", async () => {
    const task = await submit(appliance, { prompt: "demo: ask", agent: "codex" });
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
  }, 600_000);

  test("a prompt sent at once is read within the turn that runs", async () => {
    const task = await submit(appliance, { prompt: "demo: many-tools 80", agent: "codex" });
    await begun(appliance, task.id);
    await say(appliance, task.id, "By the way: the sky is blue.", true);
    await until("it is taken", async () => (await bodiesOf(appliance, task.id, "prompt_taken")).length === 1);
    await reaches(appliance, task.id, "completed");
    expect(await bodiesOf(appliance, task.id, "turn_started")).toHaveLength(1);
  }, 600_000);

  test(
    "an interruption ends the turn and holds the queue; what a person says next comes first",
    () => isInterrupted(codex()),
    600_000,
  );

  test(
    "a sandbox that is killed in mid-turn is started again, and the turn goes on",
    () => isKilledInMidTurn(codex()),
    600_000,
  );

  test(
    "a plan is put before a person, and carried out when it is approved",
    () => plansFirst(codex()),
    600_000,
  );

  test(
    "the conversation goes on after sleep, and in another container where that one is gone",
    () => remembersElsewhere(codex()),
    600_000,
  );
});
