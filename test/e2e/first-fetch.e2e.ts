import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { demoRepositoryFiles } from "../../src/demo/demo-repository.ts";
import { password, type RemoteServer, startRemoteServer } from "../../src/forge/remote-server.fixture.ts";
import { commandLines } from "../machine.ts";
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
  taskOf,
  until,
} from "./appliance.ts";
import { noise } from "./remote-world.ts";

/** A repository that nobody has worked on yet, at a git server that begins to send it and takes its time: the built executable with one place, real git, real containers. */

const engine = enginesUnderTest().find(({ name }) => name === "podman") ?? enginesUnderTest()[0];
if (engine === undefined) throw new Error("There is no engine.");
let folder = "";
let forge: RemoteServer;
let appliance: Appliance;
let name = "";
/** Lets the server go on. */
let goOn = () => {};

const start = () => startAppliance({ engine, dataFolder: join(folder, "data"), env: { CCW_PARALLEL: "1" } });
const ccw = async (...argv: string[]) => {
  const { code, out, err } = await run([executable, ...argv], { env: { CCW_DATA: join(folder, "data") } });
  if (code !== 0) throw new Error(`${argv.join(" ")}: ${err}`);
  return out.trim();
};
const git = async (...argv: string[]) => {
  const identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org"];
  const { code, err } = await run(["git", ...identity, ...argv], { cwd: join(folder, "work") });
  if (code !== 0) throw new Error(`git ${argv.join(" ")}: ${err}`);
};
/** Of git that fetches into a mirror of this test. */
const fetches = () =>
  commandLines().filter(
    ({ line }) => line.includes(join(folder, "data/mirrors")) && line.includes(" fetch "),
  );

beforeEach(async () => {
  folder = freshFolder();
  const bare = join(folder, "forge/acme/widget.git");
  mkdirSync(join(folder, "work"));
  for (const [path, text] of Object.entries({ ...demoRepositoryFiles, "noise.txt": noise(80_000) })) {
    mkdirSync(join(folder, "work", path, ".."), { recursive: true });
    writeFileSync(join(folder, "work", path), text);
  }
  await git("init", "--quiet", "--bare", "--initial-branch=main", bare);
  await git("init", "--quiet", "--initial-branch=main");
  await git("add", ".");
  await git("commit", "--quiet", "--message", "First");
  await git("push", "--quiet", bare, "main");
  forge = await startRemoteServer({ folder: join(folder, "forge"), workFolder: join(folder, "server") });
  const opened = Promise.withResolvers<void>();
  goOn = () => {
    forge.behaviour = { kind: "git" };
    opened.resolve();
  };
  forge.behaviour = { kind: "slow", until: opened.promise };
  appliance = await start();
  writeFileSync(join(folder, "token"), password);
  await ccw(
    "forge",
    "add",
    "slow",
    forge.url,
    "--kind",
    "git",
    "--user",
    "x",
    "--token-file",
    join(folder, "token"),
  );
  name = await ccw("repo", "add", "acme/widget", "--forge", "slow");
}, 600_000);
afterEach(async () => {
  goOn();
  await appliance.stop();
  await forge.close();
  rmSync(folder, { recursive: true, force: true });
}, 600_000);

const stateOf = async (id: string) => (await taskOf(appliance, id)).state;

test("tasks on a slow repository leave the only place to others, say why they wait, outlive the server, and complete", async () => {
  const onSlow = { prompt: "demo: slow 1", repositories: [{ name }] };
  const slow = [await submit(appliance, onSlow), await submit(appliance, onSlow)];
  await until("git fetches", () => fetches().length === 1);
  const hosted = await submit(appliance, { prompt: "demo: slow 1", repositories: [{ name: "demo" }] });
  await reaches(appliance, hosted.id, "completed");
  const why = `It waits for ${name}, which is fetched for the first time.`;
  for (const { id } of slow) {
    expect(await taskOf(appliance, id)).toMatchObject({ state: "queued", detail: why });
    expect(await ccw("task", "show", id)).toContain(why);
  }
  const [first, second] = slow;
  if (first === undefined || second === undefined) throw new Error("no task");
  const notices = await bodiesOf(appliance, first.id, "appliance_notice");
  expect(notices).toMatchObject([{ level: "info", text: `${name} is fetched for the first time.` }]);
  expect(fetches()).toHaveLength(1);

  await appliance.killHard();
  appliance = await start();
  await until("git fetches again, and the one of before has ended", () => fetches().length === 1);
  const another = await submit(appliance, { prompt: "demo: slow 1", repositories: [{ name: "demo" }] });
  await reaches(appliance, another.id, "completed");
  expect(await Promise.all(slow.map(({ id }) => stateOf(id)))).toEqual(["queued", "queued"]);

  goOn();
  for (const { id } of slow) await reaches(appliance, id, "completed");
  const began = (await bodiesOf(appliance, second.id, "state")).map(({ state }) => state);
  expect(began).toContain("starting");
  const workBranch = first.repositories[0]?.workBranch ?? "";
  await git("fetch", "--quiet", join(folder, "forge/acme/widget.git"), workBranch);
}, 600_000);

test("cancelling and deleting a task during the first fetch ends git, unless another task needs it", async () => {
  const onSlow = { prompt: "demo: slow 1", repositories: [{ name }] };
  const one = await submit(appliance, onSlow);
  await until("git fetches", () => fetches().length === 1);
  const two = await submit(appliance, onSlow);
  await ccw("task", "cancel", one.id);
  expect(await stateOf(one.id)).toBe("cancelled");
  await ccw("task", "delete", one.id);
  expect(fetches()).toHaveLength(1);
  await ccw("task", "cancel", two.id);
  await until("git has ended", () => fetches().length === 0);
  const three = await submit(appliance, onSlow);
  goOn();
  await reaches(appliance, three.id, "completed");
  expect(await stateOf(two.id)).toBe("cancelled");
}, 300_000);
