import { Database } from "bun:sqlite";
import { afterEach, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { ScheduleJson } from "../../src/client.ts";
import {
  type Appliance,
  bodiesOf,
  enginesUnderTest,
  executable,
  freshFolder,
  run,
  startAppliance,
  taskOf,
  until,
} from "./appliance.ts";

/** Schedules, triggers and attempts, by the executable and its command line. */

let running: Appliance | undefined;
let dataFolder = "";
afterEach(async () => {
  await running?.stop();
  rmSync(dataFolder, { recursive: true, force: true });
});

/** Tasks wait in the queue there: what is looked at is that they were made. */
const noEngine = "/nonexistent/engine.sock";

async function start(engine: Parameters<typeof startAppliance>[0]["engine"] = noEngine): Promise<Appliance> {
  running = await startAppliance({ engine, dataFolder, argv: ["--demo"] });
  return running;
}

async function cli(...argv: string[]): Promise<string> {
  const { code, out, err } = await run([executable, "--data", dataFolder, ...argv], { env: { TZ: "UTC" } });
  if (code !== 0) throw new Error(`${argv.join(" ")} ended with ${code}: ${err}`);
  return out;
}

const show = async (name: string) =>
  JSON.parse(await cli("schedule", "show", name, "--json")) as {
    schedule: ScheduleJson;
    runs: { kind: string; reason: string; cause: string; task?: { id: string } }[];
  };
const tasksOf = ({ client }: Appliance) => client.read(client.api.tasks.$get({ query: { limit: "100" } }));

test("schedules that come due while the server is killed again and again make one task each", async () => {
  dataFolder = freshFolder();
  let appliance = await start();
  const names = ["a", "b", "c", "d", "e", "f"];
  const dueAt = Date.now() + 10_000;
  const task = { prompt: "Look around", repositories: [{ name: "demo" }] };
  for (const [index, name] of names.entries()) {
    const time = { kind: "once", at: dueAt + index * 700 } as const;
    await appliance.client.read(appliance.client.api.schedules.$post({ json: { name, time, task } }));
  }
  let kills = 0;
  while (Date.now() < dueAt + names.length * 700 || kills < 5) {
    await Bun.sleep(50 + ((kills * 137) % 500));
    await appliance.killHard();
    appliance = await start();
    kills += 1;
  }
  await until("all have run", async () => (await tasksOf(appliance)).length >= names.length);
  await Bun.sleep(1500);
  expect(await tasksOf(appliance)).toHaveLength(names.length);
  for (const name of names) expect((await show(name)).runs).toMatchObject([{ kind: "task", cause: "time" }]);
}, 600_000);

test("a missed time is skipped or made up for by one run, as the schedule says", async () => {
  dataFolder = freshFolder();
  let appliance = await start();
  const add = (name: string, missed: string) =>
    cli(
      "schedule",
      "add",
      name,
      "--cron",
      "0 3 * * *",
      "--zone",
      "Europe/Berlin",
      "--missed",
      missed,
      "--repo",
      "demo",
      "Look around",
    );
  await add("skips", "skip");
  await add("runs", "run");
  await appliance.stop();
  const database = new Database(join(dataFolder, "ccw.sqlite"));
  database.run("UPDATE schedules SET next_at = next_at - 259200000");
  database.close();
  appliance = await start();
  const [skips, runs] = await until("both were looked at", async () => {
    const both = [await show("skips"), await show("runs")] as const;
    return both.every((one) => one.runs.length === 1) && both;
  });
  expect(skips.runs).toMatchObject([{ kind: "skipped" }]);
  expect(skips.runs[0]?.reason).toContain("Missed");
  expect(runs.runs).toMatchObject([{ kind: "task" }]);
  expect(await tasksOf(appliance)).toHaveLength(1);
  for (const { schedule } of [skips, runs]) {
    expect(schedule.next[0]).toBeGreaterThan(Date.now());
    const hour = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", timeZone: "Europe/Berlin" });
    expect(hour.format(schedule.next[0])).toBe("03");
  }
}, 600_000);

test("a program starts a task by a trigger, once for one key, and what it sends is fenced", async () => {
  dataFolder = freshFolder();
  const appliance = await start();
  await cli("schedule", "add", "on-alert", "--repo", "demo", "Find out why this alert fired");
  const [url = "", token = ""] = (await cli("schedule", "trigger", "on-alert")).trim().split("\n");
  const call = (bearer: string) =>
    fetch(url, {
      method: "POST",
      headers: { authorization: `Bearer ${bearer}`, "idempotency-key": "alert 17" },
      body: '{"alert":"disk full"}',
    });
  const answers = [await call(token), await call(token)];
  expect(answers.map(({ status }) => status)).toEqual([202, 202]);
  const [one, other] = await Promise.all(answers.map((answer) => answer.json() as Promise<{ id: string }>));
  expect(one?.id).toBe(other?.id ?? "");
  const [prompt] = await bodiesOf(appliance, one?.id ?? "", "prompt");
  expect(prompt?.text).toStartWith("Find out why this alert fired\n\n");
  expect(prompt?.text).toMatch(
    /BEGIN UNTRUSTED DATA ([0-9a-f]{32}) -----\n\{"alert":"disk full"\}\n----- END UNTRUSTED DATA \1/,
  );
  await cli("schedule", "trigger", "on-alert");
  expect((await call(token)).status).toBe(404);
  await cli("schedule", "pause", "on-alert");
  expect(await cli("schedule", "list")).toContain("paused");
  await cli("schedule", "remove", "on-alert");
  expect(await cli("schedule", "list", "--json")).toBe("[]\n");
}, 600_000);

test("three attempts at one prompt run side by side, are compared, and one is kept", async () => {
  dataFolder = freshFolder();
  const engine = enginesUnderTest().find(({ name }) => name === "podman");
  if (engine === undefined) throw new Error("There is no Podman.");
  const appliance = await start(engine);
  const groupId = (await cli("task", "create", "--repo", "demo", "--attempts", "3", "demo: fix-test")).trim();
  const { client } = appliance;
  const group = () => client.read(client.api.groups[":id"].$get({ param: { id: groupId } }));
  const { tasks } = await until("all are done", async () => {
    const now = await group();
    const failed = now.tasks.find(({ state }) => state === "failed");
    if (failed !== undefined) throw new Error(failed.detail);
    return now.tasks.every(({ state }) => state === "idle" || state === "completed") && now;
  });
  const text = await cli("group", "show", groupId);
  expect(text).toContain("Comparison");
  for (const { id } of tasks) {
    expect(text).toContain(id.slice(-6));
    const diffs = await client.read(client.api.tasks[":id"].diff.$get({ param: { id } }));
    expect(diffs).toMatchObject([{ pushed: true }]);
    expect(diffs[0]?.diff).toContain("diff --git");
  }
  const kept = tasks[1]?.id ?? "";
  await cli("group", "keep", kept);
  expect((await group()).kept).toBe(kept);
  for (const { id } of tasks.filter((task) => task.id !== kept)) {
    await until("it is cancelled", async () =>
      ["cancelled", "completed"].includes((await taskOf(appliance, id)).state),
    );
  }
  expect(["idle", "completed"]).toContain((await taskOf(appliance, kept)).state);
  const branches = await client.read(
    client.api.tasks[":id"].diff.$get({ param: { id: tasks[0]?.id ?? "" } }),
  );
  expect(branches).toMatchObject([{ pushed: true }]);
  const again = await run([executable, "--data", dataFolder, "group", "keep", tasks[0]?.id ?? ""]);
  expect(again.err).toContain("Another attempt is kept already");
}, 600_000);
