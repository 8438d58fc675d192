import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  type Appliance,
  bodiesOf,
  enginesUnderTest,
  executable,
  freshFolder,
  reaches,
  required,
  run,
  startAppliance,
  submit,
  until,
} from "./appliance.ts";
import { startListeningModel } from "./listening-model.ts";
import { say } from "./turns.ts";

/**
 * One conversation that moves: begun in a sandbox, gone on with in the real agent CLI of a person's machine, handed over
 * again. What the model is asked shows what the agent remembers, the files show what it has.
 */

const claude = required("CCW_TEST_CLAUDE");
const [engine] = enginesUnderTest();
const folders: string[] = [];
const newFolder = () => {
  const folder = freshFolder();
  folders.push(folder);
  return folder;
};
/** The person's own model endpoint. */
const model = startListeningModel();
let appliance: Appliance;
let env: Record<string, string>;
let checkout: string;

beforeAll(async () => {
  if (engine === undefined) throw new Error("no engine");
  appliance = await startAppliance({ engine, dataFolder: newFolder() });
  const home = newFolder();
  checkout = join(home, "code", "a demo");
  mkdirSync(join(home, "code"));
  env = {
    ...{ PATH: process.env["PATH"] ?? "", HOME: home, GIT_CONFIG_NOSYSTEM: "1", IS_SANDBOX: "1" },
    ...{ ANTHROPIC_BASE_URL: model.url, ANTHROPIC_AUTH_TOKEN: "mine" },
    ...{ CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1", DISABLE_AUTOUPDATER: "1", NO_PROXY: "127.0.0.1" },
  };
  const url = `${appliance.url.replace("http://", `http://me:${appliance.token}@`)}/git/demo.git`;
  expect((await run(["git", "clone", "-q", url, checkout], { env })).code).toBe(0);
}, 600_000);
afterAll(async () => {
  await appliance?.stop();
  await model.close();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** One turn of the person's own agent CLI. */
const locally = async (session: string, prompt: string) => {
  model.asked.length = 0;
  const done = await run(
    [claude, "-p", "--dangerously-skip-permissions", "--model", "demo", "--resume", session, prompt],
    { cwd: checkout, env },
  );
  expect(done).toMatchObject({ code: 0 });
  return done.out;
};

test("a task goes on in the local CLI, and a local conversation as a task: what was said and what was written is there", async () => {
  const { id } = await submit(appliance, { prompt: "demo: jot apple" });
  await reaches(appliance, id, "completed");
  writeFileSync(join(checkout, "mine.txt"), "mine\n");

  const told = await run([executable, "task", "teleport", id, "--data", appliance.dataFolder]);
  const moved = await run(["sh", "-c", told.out.trim()], { cwd: checkout, env });
  expect(moved).toMatchObject({ code: 0, err: expect.stringContaining("git stash pop") });
  const [, session = ""] = /^claude --resume (\S+)$/m.exec(moved.out) ?? [];
  expect((await run(["cat", "notes.txt"], { cwd: checkout, env })).out).toBe("apple\n");
  expect(await locally(session, "demo: remember")).toContain("demo: jot apple");
  expect(model.asked.join()).toContain("demo: jot apple");
  expect(await locally(session, "demo: jot pear")).toContain("apple\npear");

  const state = () =>
    run(["sh", "-c", "git status --porcelain=v2 --branch; git stash list"], { cwd: checkout, env });
  const before = await state();
  const handed = await run(
    [executable, "task", "handover", "--data", appliance.dataFolder, "demo: remember"],
    { cwd: checkout, env },
  );
  expect(handed).toMatchObject({ code: 0 });
  const next = handed.out.trim();
  expect(next).not.toBe(id);
  await reaches(appliance, next, "completed");
  const texts = async () => (await bodiesOf(appliance, next, "assistant_text")).map(({ text }) => text);
  expect((await texts()).join("\n")).toContain("demo: jot apple\ndemo: remember\ndemo: jot pear");
  await say(appliance, next, "demo: jot plum");
  await until("the next turn", async () => (await texts()).at(-1)?.includes("apple\npear\nplum"));
  await reaches(appliance, next, "completed");
  expect((await state()).out).toBe(before.out);
  expect(await bodiesOf(appliance, id, "teleported")).toHaveLength(1);
  expect(await bodiesOf(appliance, next, "handed_over")).toHaveLength(1);

  // And back once more: a task that began on this machine is taken along again.
  const again = await run([executable, "task", "teleport", next, "--data", appliance.dataFolder]);
  const back = await run(["sh", "-c", again.out.trim()], { cwd: checkout, env });
  expect(back.code).toBe(0);
  const [, other = ""] = /^claude --resume (\S+)$/m.exec(back.out) ?? [];
  expect(await locally(other, "demo: remember")).toContain("demo: jot plum");
}, 600_000);
