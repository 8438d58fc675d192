import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { canMove, isEnded, type TaskStateKind, taskStateKinds } from "../../src/domain/task.ts";
import {
  type Appliance,
  bodiesOf,
  type EngineUnderTest,
  enginesUnderTest,
  executable,
  freshFolder,
  reaches,
  sleeps,
  startAppliance,
  submit,
  taskOf,
  until,
} from "./appliance.ts";

const rounds = 20;
/** The same kills at the same moments, as far as the machine allows; another seed looks elsewhere. */
const seed = Number(process.env["CCW_TEST_SEED"] ?? "20261121");

const prompts = [
  "demo: fix-test",
  "demo: slow 8",
  "demo: many-tools 30",
  "demo: slow 15",
  "demo: fix-test",
  "demo: many-tools 60",
  "demo: slow 3",
];

/** The server is killed at any moment, many times, while several tasks start, run and end. */
describe.each(enginesUnderTest().map((engine) => [engine.name, engine] as const))("on %s", (_, engine) => {
  test(`${rounds} kills of the server lose nothing, double nothing and leave nothing behind (seed ${seed})`, async () => {
    const dataFolder = freshFolder();
    const random = createRandom(seed);
    let appliance = await startAppliance({ engine, dataFolder, env: { CCW_PARALLEL: "3" } });
    try {
      const tasks: string[] = [];
      for (const prompt of prompts) tasks.push((await submit(appliance, { prompt })).id);

      await Bun.sleep(random(1500));
      await appliance.killHard();
      for (let round = 1; round < rounds; round++) await runAndKill(engine, dataFolder, 150 + random(2200));

      appliance = await startAppliance({ engine, dataFolder, env: { CCW_PARALLEL: "3" } });
      for (const id of tasks) {
        await reaches(appliance, id, "completed");
        await checkStory(appliance, id);
      }
      checkNumbers(join(dataFolder, "ccw.sqlite"));
      for (const id of tasks) {
        await sleeps(engine, id);
      }
      await until("the door folders are removed", () => readdirSync(join(dataFolder, "doors")).length === 0);
    } finally {
      await appliance.stop();
      rmSync(dataFolder, { recursive: true, force: true });
    }
  }, 600_000);
});

test("a server whose log cannot be written goes on", async () => {
  const [engine] = enginesUnderTest();
  const dataFolder = freshFolder();
  const command = `exec "$0" start --data "$1" --port 0 2>/dev/full`;
  const child = Bun.spawn(["sh", "-c", command, executable, dataFolder], {
    cwd: tmpdir(),
    env: { PATH: process.env["PATH"] ?? "", HOME: dataFolder, CCW_ENGINE_SOCKET: engine?.socket ?? "" },
    stdio: ["ignore", "ignore", "ignore"],
  });
  try {
    // It is there only after the first lines of the log.
    await until("it is up", () => existsSync(join(dataFolder, "server.json")));
    await Bun.sleep(300);
    expect(child.exitCode).toBe(null);
  } finally {
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
    rmSync(dataFolder, { recursive: true, force: true });
  }
});

async function runAndKill({ socket }: EngineUnderTest, dataFolder: string, ms: number): Promise<void> {
  const child = Bun.spawn([executable, "start", "--data", dataFolder, "--port", "0"], {
    cwd: tmpdir(),
    env: {
      PATH: process.env["PATH"] ?? "",
      HOME: dataFolder,
      CCW_ENGINE_SOCKET: socket,
      CCW_PARALLEL: "3",
    },
    stdio: ["ignore", "ignore", "ignore"],
  });
  await Bun.sleep(ms);
  child.kill("SIGKILL");
  expect(await child.exited).toBe(137);
}

/** Every move of the task is legal, and what happens once in a life has happened once. */
async function checkStory(appliance: Appliance, id: string): Promise<void> {
  const states = (await bodiesOf(appliance, id, "state")).map(({ state }) => kindOf(state));
  expect(states[0]).toBe("queued");
  for (const [index, to] of states.entries()) {
    const from = states[index - 1];
    if (from !== undefined) expect(`${from} to ${to}: ${canMove(from, to)}`).toBe(`${from} to ${to}: true`);
  }
  expect(states.filter(isEnded)).toEqual(["completed"]);
  const task = await taskOf(appliance, id);
  expect(task.state).toBe("completed");
  const started = (await bodiesOf(appliance, id, "turn_started")).map(({ promptId }) => promptId);
  const ended = (await bodiesOf(appliance, id, "turn_ended")).map(({ promptId }) => promptId);
  expect(started).toHaveLength(1);
  expect(ended).toEqual(started);
  const changed = task.title.includes("many-tools") ? 0 : 1;
  expect(await bodiesOf(appliance, id, "pushed")).toHaveLength(changed);
  for (const kind of ["prompt", "finished", "sandbox_started"] as const) {
    expect(`${kind}: ${(await bodiesOf(appliance, id, kind)).length}`).toBe(`${kind}: 1`);
  }
}

/** Each sandbox's events and commands are numbered from 1 without a gap, and all were acknowledged. */
function checkNumbers(path: string): void {
  const db = new Database(path, { readonly: true });
  try {
    const gaps = db
      .query(
        `SELECT sandbox_id, count(*) AS count, max(n) AS last, min(n) AS first FROM events
         WHERE sandbox_id IS NOT NULL GROUP BY sandbox_id HAVING count <> last OR first <> 1`,
      )
      .all();
    expect(gaps).toEqual([]);
    const commandGaps = db
      .query(
        "SELECT sandbox_id, count(*) AS count, max(n) AS last FROM commands GROUP BY sandbox_id HAVING count <> last",
      )
      .all();
    expect(commandGaps).toEqual([]);
    const behind = db
      .query(
        `SELECT s.id, s.acked, max(e.n) AS last FROM sandboxes s JOIN events e ON e.sandbox_id = s.id
         GROUP BY s.id HAVING s.acked <> last`,
      )
      .all();
    expect(behind).toEqual([]);
    const sentTwice = db
      .query(
        `SELECT json_extract(body, '$.promptId') AS prompt, count(*) AS count FROM commands
         WHERE json_extract(body, '$.kind') = 'prompt' GROUP BY prompt HAVING count > 1`,
      )
      .all();
    expect(sentTwice).toEqual([]);
  } finally {
    db.close();
  }
}

function kindOf(text: string): TaskStateKind {
  const kind = taskStateKinds.find((known) => known === text);
  if (kind === undefined) throw new Error(`no such state: ${text}`);
  return kind;
}

/** Whole numbers below `bound`: mulberry32. */
function createRandom(start: number): (bound: number) => number {
  let state = start >>> 0;
  return (bound) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound;
  };
}
