import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { rmSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  type Appliance,
  bodiesOf,
  enginesUnderTest,
  executable,
  freshFolder,
  reaches,
  run,
  startAppliance,
  submit,
  until,
} from "./appliance.ts";

setDefaultTimeout(600_000);

/** Usage, budgets and the account's usage limit: the compiled executable, a real engine, the real agent CLI, the demo model. */
const engine = enginesUnderTest().find(({ name }) => name === "podman");
if (engine === undefined) throw new Error("there is no podman");

describe("with prices of its own", () => {
  let dataFolder: string;
  let appliance: Appliance;
  const usageOf = (id: string) =>
    appliance.client.read(appliance.client.api.tasks[":id"].usage.$get({ param: { id } }));
  beforeAll(async () => {
    dataFolder = freshFolder();
    const toml = `[prices]
"claude-*" = { input = 10, output = 50, cache_read = 1, cache_write_5m = 12.5, cache_write_1h = 20 }
`;
    await writeFile(join(dataFolder, "ccw.toml"), toml);
    appliance = await startAppliance({ engine, dataFolder });
  });
  afterAll(async () => {
    await appliance.stop();
    rmSync(dataFolder, { recursive: true, force: true });
  });

  test("a task's tokens and cost are summed up by turn, by day and as CSV", async () => {
    const task = await submit(appliance, { prompt: "demo: many-tools 3" });
    const done = await reaches(appliance, task.id, "idle", "completed");
    expect(done.costUsd).toBeGreaterThan(0);
    const { total, turns, models } = await usageOf(task.id);
    expect(total.costUsd).toBe(done.costUsd);
    expect(turns).toHaveLength(1);
    expect(turns[0]?.promptId).toStartWith("prm_");
    const { requests, inputTokens, outputTokens, cacheReadTokens, cacheWrite5mTokens, cacheWrite1hTokens } =
      total;
    expect(requests).toBe(4);
    const usd =
      inputTokens * 10 +
      outputTokens * 50 +
      cacheReadTokens +
      cacheWrite5mTokens * 12.5 +
      cacheWrite1hTokens * 20;
    expect(total.costUsd).toBeCloseTo(usd / 1e6, 9);
    expect(models).toHaveLength(1);
    const csv = await run([executable, "usage", "--by", "task", "--csv", "--data", dataFolder]);
    expect(csv.out).toContain(`${task.id},"demo: many-tools 3",4,`);
  });

  test("a budget tells the agent, pauses the task, and a person's raise lets it go on", async () => {
    const add = await run([executable, "env", "add", "poor", "--usd", "0.01", "--data", dataFolder]);
    expect(add.code).toBe(0);
    const task = await submit(appliance, { prompt: "demo: many-tools 30", environment: "poor" });
    const paused = await reaches(appliance, task.id, "paused");
    expect(paused.costUsd).toBeGreaterThan(0.01);
    const [pause, ...others] = await bodiesOf(appliance, task.id, "pause_requested");
    expect(others).toEqual([]);
    expect(pause).toMatchObject({
      why: "budget",
      reason: expect.stringMatching(/^The task has spent \$.* of \$0\.0100\.$/),
    });
    const notices = await bodiesOf(appliance, task.id, "appliance_notice");
    expect(notices.some(({ text }) => text.includes("The agent is told to come to an end"))).toBe(true);
    // The first request alone is beyond a budget so small; one more was left to come to an end.
    expect((await usageOf(task.id)).total.requests).toBe(2);

    const raised = await run([executable, "task", "budget", task.id, "--usd", "50", "--data", dataFolder]);
    expect(raised.out).toContain("$50.00");
    const more = await run([
      executable,
      "task",
      "prompt",
      task.id,
      "demo: many-tools 1",
      "--data",
      dataFolder,
    ]);
    expect(more.code).toBe(0);
    await reaches(appliance, task.id, "idle", "completed");
    const { total } = await usageOf(task.id);
    expect(total.requests).toBeGreaterThan(2);
  });

  test("a usage limit of the account parks a task, keeps others from starting, and all go on by themselves", async () => {
    const task = await submit(appliance, { prompt: "demo: usage-limit 90" });
    const paused = await reaches(appliance, task.id, "paused");
    const [pause] = await bodiesOf(appliance, task.id, "pause_requested");
    expect(pause).toMatchObject({ why: "usage_limit" });
    expect(pause?.until).toBeGreaterThan(Date.now());
    expect(paused.state).toBe("paused");
    const { model } = await appliance.client.read(appliance.client.api.status.$get());
    expect(model.limitedUntil).toBeGreaterThan(Date.now());
    const other = await submit(appliance, { prompt: "demo: many-tools 1" });
    await Bun.sleep(2000);
    const { task: waiting } = await appliance.client.read(
      appliance.client.api.tasks[":id"].$get({ param: { id: other.id } }),
    );
    expect(waiting.state).toBe("queued");

    await reaches(appliance, task.id, "idle", "completed");
    await reaches(appliance, other.id, "idle", "completed");
    // The same turn went on: nobody asked anything new.
    const said = await bodiesOf(appliance, task.id, "assistant_text");
    expect(said.some(({ text }) => text.includes("I was out of quota for 90 seconds"))).toBe(true);
    expect(await bodiesOf(appliance, task.id, "prompt")).toHaveLength(1);
    await until("the limit is forgotten", async () => {
      const status = await appliance.client.read(appliance.client.api.status.$get());
      return status.model.limitedUntil === undefined;
    });
    expect(await bodiesOf(appliance, task.id, "pause_requested")).toHaveLength(1);
  });
});
