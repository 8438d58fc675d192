import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import {
  type Appliance,
  bodiesOf,
  containersOf,
  enginesUnderTest,
  eventsOf,
  executable,
  freshFolder,
  reaches,
  run,
  startAppliance,
  submit,
  taskOf,
  until,
} from "./appliance.ts";
import { clockIn } from "./clock.ts";

/** The machine's clock is set by hours, ahead and back, while tasks run, wait, sleep, and are planned (libfaketime, on the server alone). */

setDefaultTimeout(600_000);

const engine = enginesUnderTest().find(({ name }) => name === "podman");
if (engine === undefined) throw new Error("there is no podman");
const folder = freshFolder();
const found = clockIn(folder);
if (found === undefined) throw new Error("libfaketime is not installed: apt-get install faketime");
const clock = found;
const dataFolder = join(folder, "data");
let appliance: Appliance;

async function start(env: Record<string, string> = {}): Promise<void> {
  appliance = await startAppliance({ engine: engine ?? "", dataFolder, env: { ...clock.env, ...env } });
}
/** The schedules' clock looks at the wall clock twice a minute. */
const tickMs = 45_000;
const hours = (count: number) => clock.set(count * 3600);
/** As the server sees it. */
const now = () => Date.now() + clock.offset() * 1000;

beforeAll(async () => {
  mkdirSync(dataFolder);
  await start();
});
afterAll(async () => {
  await appliance.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Each task's events: numbered without a gap, in order, one end of each turn, and nothing ended for its time. */
async function isWhole(id: string, turns: number): Promise<void> {
  const events = await eventsOf(appliance, id);
  const kinds = events.map(({ body }) => body.kind);
  expect(kinds.filter((kind) => kind === "turn_ended")).toHaveLength(turns);
  for (const kind of ["limit_reached", "sandbox_died", "sandbox_removed"] as const)
    expect(kinds).not.toContain(kind);
  const seqs = events.map(({ seq }) => seq);
  expect(seqs).toEqual([...seqs].sort((a, b) => a - b));
  const uses = events.flatMap(({ body }) => (body.kind === "tool_use" ? [body.toolUseId] : []));
  expect(new Set(uses).size).toBe(uses.length);
  expect(uses.length).toBeGreaterThan(0);
}

test("tasks that run and tasks that wait go on to their ends, across jumps both ways and a death of the server", async () => {
  await appliance.stop();
  await start({ CCW_PARALLEL: "1" });
  const runs = await submit(appliance, { prompt: "demo: slow 12" });
  const waits = await submit(appliance, { prompt: "demo: many-tools 3" });
  await until(
    "the first one acts",
    async () => (await bodiesOf(appliance, runs.id, "assistant_text")).length > 0,
  );
  await hours(30);
  await hours(-5);
  // Its leases end in what is the future now, or long ago.
  await hours(7);
  await appliance.killHard();
  await hours(-20);
  await start({ CCW_PARALLEL: "1" });
  await reaches(appliance, runs.id, "completed");
  await reaches(appliance, waits.id, "completed");
  await isWhole(runs.id, 1);
  await isWhole(waits.id, 1);
  // What sleeps wakes on either side of a jump.
  await hours(0);
  const { client } = appliance;
  await client.read(
    client.api.tasks[":id"].prompts.$post({ param: { id: waits.id }, json: { text: "demo: many-tools 2" } }),
  );
  await until(
    "its second turn",
    async () => (await bodiesOf(appliance, waits.id, "turn_ended")).length === 2,
  );
  await isWhole(waits.id, 2);
});

test("a task that is idle keeps its sandbox for its time, whatever the clock says", async () => {
  await appliance.stop();
  await start({ CCW_IDLE_MINUTES: "30" });
  const task = await submit(appliance, { prompt: "demo: many-tools 1" });
  await reaches(appliance, task.id, "idle");
  for (const jump of [9, -9, 0]) {
    await hours(jump);
    await Bun.sleep(2000);
    expect((await taskOf(appliance, task.id)).state).toBe("idle");
    expect((await containersOf(engine, task.id)).map(({ State }) => State)).toEqual(["running"]);
  }
  await isWhole(task.id, 1);
  await appliance.stop();
  await start();
});

test("a schedule makes up for what was leapt over by one run or none, and does nothing over when the clock goes back", async () => {
  const { client } = appliance;
  const task = { prompt: "demo: many-tools 1", repositories: [] };
  const add = (name: string, missed: "run" | "skip") =>
    client.read(
      client.api.schedules.$post({
        json: {
          name,
          missed,
          overlap: "allow",
          task,
          time: { kind: "cron", expression: "0 * * * *", zone: "UTC" },
        },
      }),
    );
  const hour = Math.floor(now() / 3_600_000);
  const toHour = (count: number, seconds: number) =>
    clock.set((hour + count) * 3600 + seconds - Date.now() / 1000);
  // Half past, here and below, so that none is due by itself meanwhile.
  await toHour(0, 1800);
  await add("makes up", "run");
  await add("leaves out", "skip");
  const runsOf = async (name: string) => {
    const { code, out, err } = await run([
      executable,
      "--data",
      dataFolder,
      "schedule",
      "show",
      name,
      "--json",
    ]);
    if (code !== 0) throw new Error(err);
    const shown = JSON.parse(out) as {
      schedule: { next: number[] };
      runs: { kind: string; dueAt?: number }[];
    };
    return {
      next: shown.schedule.next[0] ?? 0,
      runs: shown.runs,
      tasks: shown.runs.filter(({ kind }) => kind === "task"),
    };
  };
  await toHour(5, 1800);
  const [made, left] = await until("both were looked at", async () => {
    const both = [await runsOf("makes up"), await runsOf("leaves out")] as const;
    return both.every(({ runs, next }) => runs.length > 0 && next > now()) && both;
  });
  expect(made.tasks).toHaveLength(1);
  expect(left.tasks).toHaveLength(0);
  // Back, to where some of the times come again: none of them was done, and none is before its time.
  await toHour(2, 1800);
  await Bun.sleep(tickMs);
  expect((await runsOf("makes up")).tasks).toHaveLength(1);
  // The next full hour comes: one run each.
  await toHour(3, 5);
  await until("the hour is done", async () => (await runsOf("leaves out")).tasks.length === 1);
  // And the same hour once more.
  await toHour(3, -5);
  await Bun.sleep(tickMs);
  for (const [name, count] of [
    ["makes up", 2],
    ["leaves out", 1],
  ] as const) {
    const { tasks } = await runsOf(name);
    expect(new Set(tasks.map(({ dueAt }) => dueAt)).size).toBe(tasks.length);
    expect(tasks.length).toBeLessThanOrEqual(count);
  }
  await hours(0);
});

test("a task that is parked until a time goes on when the clock reaches it, and not because the clock goes back", async () => {
  const task = await submit(appliance, { prompt: "demo: usage-limit 300" });
  await reaches(appliance, task.id, "paused");
  await hours(-3);
  await Bun.sleep(12_000);
  expect((await taskOf(appliance, task.id)).state).toBe("paused");
  // The demo model knows for ten minutes that it has said so.
  await clock.set(400);
  await reaches(appliance, task.id, "completed");
  expect(await bodiesOf(appliance, task.id, "pause_requested")).toHaveLength(1);
  expect(await bodiesOf(appliance, task.id, "prompt")).toHaveLength(1);
  await hours(0);
});

test("a ticket of a few minutes is not good after hours, and whoever is signed in stays so", async () => {
  const task = await submit(appliance, { prompt: "demo: many-tools 1" });
  await reaches(appliance, task.id, "completed");
  const { client } = appliance;
  const made = await client.read(client.api.tasks[":id"].teleport.$post({ param: { id: task.id } }));
  const script = async () => (await fetch(made.url)).text();
  expect(await script()).not.toContain("good no longer");
  await hours(3);
  expect(await script()).toContain("good no longer");
  // Whoever is signed in stays so.
  expect((await taskOf(appliance, task.id)).state).toBe("completed");
  await hours(0);
});
