import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import {
  type Appliance,
  bodiesOf,
  containersOf,
  enginesUnderTest,
  eventsOf,
  freshFolder,
  reaches,
  sleeps,
  startAppliance,
  submit,
  taskOf,
  until,
} from "./appliance.ts";
import { begun, containerOf, doneAgain, killContainer, lastText, removeContainer, say } from "./turns.ts";

/** A task's whole life with the real agent CLI in a real container: steered, asleep, awake, dead, built again. */
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

  test("the next prompt wakes a task that sleeps: same container, same files, same conversation", async () => {
    const task = await submit(appliance, { prompt: "demo: jot apple" });
    await reaches(appliance, task.id, "completed");
    await sleeps(engine, task.id);
    const before = await containerOf(engine, task.id);
    await say(appliance, task.id, "demo: jot pear");
    await doneAgain(appliance, task.id, 2);
    expect(await containerOf(engine, task.id)).toBe(before);
    expect(await lastText(appliance, task.id)).toContain("apple\npear");
    await say(appliance, task.id, "demo: remember");
    await doneAgain(appliance, task.id, 3);
    expect(await lastText(appliance, task.id)).toContain("demo: jot apple\ndemo: jot pear");
  }, 600_000);

  test("where its container is gone, another one begins with the last snapshot: files and conversation", async () => {
    const task = await submit(appliance, { prompt: "demo: jot apple" });
    await reaches(appliance, task.id, "completed");
    await sleeps(engine, task.id);
    await removeContainer(engine, task.id);
    await say(appliance, task.id, "demo: jot pear");
    await doneAgain(appliance, task.id, 2);
    expect(await lastText(appliance, task.id)).toContain("apple\npear");
    await say(appliance, task.id, "demo: remember");
    await doneAgain(appliance, task.id, 3);
    expect(await lastText(appliance, task.id)).toContain("demo: jot apple\ndemo: jot pear");
    expect(await bodiesOf(appliance, task.id, "sandbox_started")).toHaveLength(2);
  }, 600_000);

  test("a container that is removed in mid-turn is built again, and the turn done once more", async () => {
    const task = await submit(appliance, { prompt: "demo: jot apple" });
    await reaches(appliance, task.id, "completed");
    await say(appliance, task.id, "demo: slow 10");
    await begun(appliance, task.id, 2);
    await removeContainer(engine, task.id);
    await doneAgain(appliance, task.id, 2);
    await say(appliance, task.id, "demo: jot pear");
    await doneAgain(appliance, task.id, 3);
    expect(await lastText(appliance, task.id)).toContain("apple\npear");
  }, 600_000);

  test("a sandbox that dies again and again pauses its task, nobody else's, and a person lets it go on", async () => {
    const task = await submit(appliance, { prompt: "demo: slow 12" });
    for (let death = 1; death <= 3; death++) {
      await reaches(appliance, task.id, "running");
      await killContainer(engine, task.id);
      if (death < 3)
        await until("it runs again", async () => (await deaths(task.id)) === death && awake(task.id));
    }
    const paused = await reaches(appliance, task.id, "paused");
    expect(paused.detail).toContain("died 3 times");
    await appliance.client.read(api().resume.$post({ param: { id: task.id } }));
    await reaches(appliance, task.id, "completed");
    expect(await bodiesOf(appliance, task.id, "turn_ended")).toMatchObject([{ outcome: "done" }]);
  }, 600_000);
  const deaths = async (id: string) => (await bodiesOf(appliance, id, "sandbox_died")).length;
  const awake = async (id: string) =>
    (await containersOf(engine, id))[0]?.State === "running" &&
    (await taskOf(appliance, id)).state === "running";

  test("an interruption ends the turn and holds the queue; what a person says next comes first", async () => {
    const task = await submit(appliance, { prompt: "demo: slow 60" });
    await begun(appliance, task.id);
    await say(appliance, task.id, "demo: jot waiting");
    await appliance.client.read(api().interrupt.$post({ param: { id: task.id } }));
    const paused = await reaches(appliance, task.id, "paused");
    expect(paused.detail).toContain("Interrupted by");
    expect(await bodiesOf(appliance, task.id, "turn_ended")).toMatchObject([{ outcome: "interrupted" }]);
    await say(appliance, task.id, "demo: jot first");
    await reaches(appliance, task.id, "completed");
    expect(await lastText(appliance, task.id)).toContain("first\nwaiting");
  }, 600_000);

  test("a task that is stopped before its agent has begun does what is said next, and then what it was given", async () => {
    const { client } = appliance;
    const setupScript = "if [ ! -e /root/once ]; then touch /root/once; echo once; sleep 600; fi";
    await client.read(client.api.environments.$post({ json: { name: "slow-setup", setupScript } }));
    const task = await submit(appliance, { prompt: "demo: jot first", environment: "slow-setup" });
    await until("it is being set up, and not again", async () =>
      (await bodiesOf(appliance, task.id, "step_output")).some(({ text }) => text.includes("once")),
    );
    await client.read(api().cancel.$post({ param: { id: task.id } }));
    await reaches(appliance, task.id, "cancelled");
    await sleeps(engine, task.id);
    await say(appliance, task.id, "demo: jot second");
    await reaches(appliance, task.id, "completed");
    expect(await lastText(appliance, task.id)).toContain("second\nfirst");
    const ended = await bodiesOf(appliance, task.id, "turn_ended");
    expect(ended.map(({ outcome }) => outcome)).toEqual(["interrupted", "done", "done"]);
    expect(await bodiesOf(appliance, task.id, "turn_started")).toHaveLength(2);
  }, 600_000);

  test("a prompt sent at once is read within the turn that runs", async () => {
    const task = await submit(appliance, { prompt: "demo: many-tools 80" });
    await begun(appliance, task.id);
    await say(appliance, task.id, "By the way: the sky is blue.", true);
    await until("it is taken", async () => (await bodiesOf(appliance, task.id, "prompt_taken")).length === 1);
    await reaches(appliance, task.id, "completed");
    expect(await bodiesOf(appliance, task.id, "turn_started")).toHaveLength(1);
    const { prompts } = await appliance.client.read(api().$get({ param: { id: task.id } }));
    expect(prompts.map(({ state }) => state)).toEqual(["taken", "taken"]);
  }, 600_000);

  test("every turn is saved before its end is told", async () => {
    const task = await submit(appliance, { prompt: "demo: jot apple" });
    await reaches(appliance, task.id, "completed");
    const kinds = (await eventsOf(appliance, task.id)).map(({ body }) => body.kind);
    const saved = kinds.indexOf("snapshot");
    expect(saved).toBeGreaterThan(kinds.indexOf("turn_started"));
    expect(saved).toBeLessThan(kinds.indexOf("turn_ended"));
    const [snapshot] = await bodiesOf(appliance, task.id, "snapshot");
    expect(snapshot?.repositories).toMatchObject([{ commit: expect.stringMatching(/^[0-9a-f]{40}$/) }]);
    expect(snapshot?.session).toMatch(/^[0-9a-f]{40}$/);
  }, 600_000);
});
