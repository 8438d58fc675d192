import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bodiesOf, enginesUnderTest, freshFolder, reaches, run, taskOf, until } from "./appliance.ts";
import { noise, openRemoteWorld, type RemoteWorld } from "./remote-world.ts";

/** What may happen to a repository, its forge and the credential while a task works: nothing is lost, and it is told. */

const engine = enginesUnderTest().find(({ name }) => name === "podman") ?? enginesUnderTest()[0];
if (engine === undefined) throw new Error("There is no engine.");
let world: RemoteWorld;
beforeAll(async () => {
  world = await openRemoteWorld(engine);
}, 600_000);
afterEach(() => world.github.heal());
afterAll(async () => {
  await world?.close();
});

const create = async (...argv: string[]) =>
  taskOf(world.appliance, await world.ccw("task", "create", ...argv));
const branchOf = (task: { repositories: { workBranch: string }[] }) => task.repositories[0]?.workBranch ?? "";

/** The agent asks, so that something can happen before it is answered and goes on to commit `answer.txt`. */
async function asks(...argv: string[]) {
  const task = await create(...argv, "demo: ask");
  await reaches(world.appliance, task.id, "waiting");
  return task;
}
const answer = (task: { id: string }) => world.ccw("task", "answer", task.id, "1");
const noticesOf = async (id: string) =>
  (await bodiesOf(world.appliance, id, "appliance_notice")).map(({ text }) => text);
/** Repositories of their own, so that one scenario's trouble is not another's. */
async function repository(path: string) {
  const made = await world.github.addRepository(path, { people: { ada: "write" } });
  return { made, name: await world.ccw("repo", "add", path, "--forge", "work") };
}

test("made private in mid-task: the push fails readably, the work is kept, and is pushed when the right is given back", async () => {
  const { github, ccw, ccwTold } = world;
  const { made, name } = await repository("acme/private");
  const task = await asks("--repo", name);
  made.people.delete("ada");
  await answer(task);
  const failed = await reaches(world.appliance, task.id, "failed");
  expect(failed.detail).toContain(`has no repository ${name}, or does not show it to the appliance (404)`);
  expect(failed.detail).toContain("The appliance has kept it.");
  expect(failed.detail).toContain(`ccw-server task push ${task.id}`);

  expect(failed.kept).toMatchObject([{ repository: name, branch: branchOf(task) }]);
  expect(JSON.parse(await ccw("task", "list", "--kept", "--json"))).toMatchObject([{ id: task.id }]);
  const early = await ccwTold("task", "push", task.id);
  expect([early.code === 0, early.err]).toEqual([false, expect.stringContaining("made private")]);
  const refused = await ccwTold("task", "create", "--repo", name, "again");
  expect([refused.code === 0, refused.err]).toEqual([false, expect.stringContaining("made private")]);

  made.people.set("ada", "write");
  expect((await ccwTold("task", "push", task.id)).err).toContain(
    `The work in ${name} is on ${branchOf(task)}`,
  );
  expect(await world.gitAt("acme/private", "show", `${branchOf(task)}:answer.txt`)).toBe("Red");
  expect(await bodiesOf(world.appliance, task.id, "kept_pushed")).toMatchObject([
    { repository: name, branch: branchOf(task), own: true },
  ]);
  expect(JSON.parse(await ccw("task", "list", "--kept", "--json"))).toEqual([]);
  expect((await ccwTold("task", "push", task.id)).err).toContain("No work of this task waits");
  expect(await ccw("task", "pr", task.id)).toContain(`${github.url}/acme/private/pull/`);
  // And a new task goes on from where it was.
  const next = await create("--repo", `${name}@${branchOf(task)}`, "demo: slow 1");
  await reaches(world.appliance, next.id, "completed");
  const subjects = await world.gitAt("acme/private", "log", "--format=%s", `main..${branchOf(next)}`);
  expect(subjects).toBe("Take 1 seconds\nWrite the answer down");
}, 600_000);

test("renamed in mid-task: the push follows to the new address on the same forge", async () => {
  const { github } = world;
  const { name } = await repository("acme/old-name");
  const task = await asks("--repo", name);
  github.rename("acme/old-name", "acme/new-name");
  await answer(task);
  await reaches(world.appliance, task.id, "completed");
  expect(await world.gitAt("acme/new-name", "show", `${branchOf(task)}:answer.txt`)).toBe("Red");
  const next = await create("--repo", name, "demo: slow 1");
  await reaches(world.appliance, next.id, "completed");
  expect(await world.ccw("repo", "list")).toContain("acme/new-name.git");
}, 600_000);

test("the branch was deleted on the forge in mid-task: it is made again, with all commits", async () => {
  const { name } = await repository("acme/deleted");
  await world.environment("pushed-early", "git commit -q --allow-empty -m early && git push -q origin HEAD");
  const task = await asks("--repo", name, "--env", "pushed-early");
  await world.gitAt("acme/deleted", "update-ref", "-d", `refs/heads/${branchOf(task)}`);
  await answer(task);
  await reaches(world.appliance, task.id, "completed");
  const subjects = await world.gitAt("acme/deleted", "log", "--format=%s", `main..${branchOf(task)}`);
  expect(subjects).toBe("Write the answer down\nearly");
}, 600_000);

test("a push that loses a race: told, and the work is kept for another branch", async () => {
  const { ccwTold, github } = world;
  const { name } = await repository("acme/race");
  await world.environment("pushed-first", "git commit -q --allow-empty -m early && git push -q origin HEAD");
  const task = await asks("--repo", name, "--env", "pushed-first");
  const branch = branchOf(task);
  const other = await github.bare.commit("acme/race", branch, { "other.txt": "somebody else\n" });
  await answer(task);
  const failed = await reaches(world.appliance, task.id, "failed");
  expect(failed.detail).toMatch(/\[rejected\].*\(fetch first\)/);
  expect(failed.detail).toContain("The appliance has kept it.");
  const again = await ccwTold("task", "push", task.id);
  expect([again.code === 0, again.err]).toEqual([
    false,
    expect.stringContaining("was moved on its forge meanwhile"),
  ]);
  expect(await github.bare.tipOf("acme/race", branch)).toBe(other);
  expect((await ccwTold("task", "push", task.id, "--branch", "claude/rescued")).code).toBe(0);
  expect(await world.gitAt("acme/race", "log", "--format=%s", "main..claude/rescued")).toBe(
    "Write the answer down\nearly",
  );
}, 600_000);

test("a forge that is down when the task starts: it waits, says so once, and goes on when the forge is back", async () => {
  const { github, name, ccw } = world;
  await ccw("repo", "sync", name);
  // Submitting looks at the branches, in two requests; then it is down.
  github.fail({ path: /widget\.git\//, after: 2, times: 1e9, fault: { status: 503 } });
  const id = await ccw("task", "create", "--repo", name, "demo: slow 1");
  await until("it says so", async () => (await noticesOf(id)).length > 0);
  // Tried again every ten seconds.
  await Bun.sleep(12_000);
  const notices = await noticesOf(id);
  expect(notices).toHaveLength(1);
  expect(notices[0]).toContain("503");
  expect(notices[0]).toContain("The task waits and is tried again.");
  expect((await taskOf(world.appliance, id)).state).toMatch(/queued|starting/);
  github.heal();
  await reaches(world.appliance, id, "completed");
}, 600_000);

test("429 with Retry-After, 5xx and half an answer in mid-task: git tries again, and nobody has to do anything", async () => {
  const { github, name } = world;
  const task = await asks("--repo", name);
  const from = github.seen.length;
  const path = /widget\.git\/git-receive-pack$/;
  github.fail({ path, fault: { status: 429, headers: { "retry-after": "1" } } });
  github.fail({ path, fault: { status: 502 } });
  github.fail({ path: /widget\.git\/info\/refs$/, fault: { status: 503 } });
  github.fail({ path: /widget\.git\/info\/refs$/, fault: { cutAfterBytes: 40 } });
  await answer(task);
  await reaches(world.appliance, task.id, "completed");
  expect(await world.gitAt("acme/widget", "show", `${branchOf(task)}:answer.txt`)).toBe("Red");
  const said = await world.outputOf(task.id, "push");
  for (const words of ["has had too many requests (429)", "(502)", "(503)", "broke off"])
    expect(said).toContain(words);
  expect(world.pushes(from)).toEqual([429, 502, 200]);
}, 600_000);

test("half an answer at a fetch leaves the mirror as it was; the next one brings all", async () => {
  const { github, name, ccw, ccwTold } = world;
  const tip = await github.bare.commit("acme/widget", "main", { "half.txt": noise(60_000) });
  // The list of refs of the appliance's own question, and that of git, come whole.
  github.fail({
    method: "POST",
    path: /widget\.git\/git-upload-pack$/,
    after: 2,
    fault: { cutAfterBytes: 5000 },
  });
  const cut = await ccwTold("repo", "sync", name);
  expect([cut.code === 0, cut.err]).toEqual([false, expect.stringContaining("acme/widget")]);
  expect(cut.err).not.toContain("internal");
  await ccw("repo", "sync", name);
  const task = await create("--repo", name, "demo: slow 1");
  await reaches(world.appliance, task.id, "completed");
  expect(await world.gitAt("acme/widget", "merge-base", "main", branchOf(task))).toBe(tip);
}, 600_000);

test("a credential that was revoked in mid-task: told whose it is, and the work goes out with the new one", async () => {
  const { github, ccw, ccwTold, secrets, name } = world;
  const task = await asks("--repo", name);
  const before = github.state.tokens.get(secrets.token);
  github.state.tokens.delete(secrets.token);
  await answer(task);
  const failed = await reaches(world.appliance, task.id, "failed");
  expect(failed.detail).toContain("does not accept the appliance's credential");
  expect(failed.detail).toContain("ccw-server forge test work");
  expect(failed.detail).toContain("The appliance has kept it.");
  const refused = await ccwTold("task", "create", "--repo", name, "again");
  expect([refused.code === 0, refused.err]).toEqual([false, expect.stringContaining("401")]);
  const fresh = github.addToken("ada");
  const folder = freshFolder();
  writeFileSync(join(folder, "token"), fresh);
  await ccw("forge", "add", "work", github.url, "--kind", "github", "--token-file", join(folder, "token"));
  rmSync(folder, { recursive: true });
  expect((await ccwTold("task", "push", task.id)).code).toBe(0);
  expect(await world.gitAt("acme/widget", "show", `${branchOf(task)}:answer.txt`)).toBe("Red");
  if (before !== undefined) github.state.tokens.set(secrets.token, before);
  const found = await run(["grep", "-rlaF", "-e", fresh, world.appliance.dataFolder]);
  expect([found.code, found.out]).toEqual([1, ""]);
}, 600_000);

test("two repositories, and one of them takes no push: the other has its work, and that of the one survives a restart", async () => {
  const { ccwTold } = world;
  const first = await repository("acme/one");
  const second = await repository("acme/two");
  await world.environment(
    "both",
    "for r in one two; do git -C /workspace/$r commit -q --allow-empty -m set-up; done",
  );
  const task = await asks("--repo", first.name, "--repo", second.name, "--env", "both");
  first.made.people.set("ada", "read");
  await answer(task);
  const failed = await reaches(world.appliance, task.id, "failed");
  expect(failed.detail).toContain("does not let the appliance push to");
  expect(await world.gitAt("acme/two", "log", "-1", "--format=%s", branchOf(task))).toBe("set-up");
  await world.restart();
  first.made.people.set("ada", "write");
  expect((await ccwTold("task", "push", task.id)).code).toBe(0);
  expect(await world.gitAt("acme/one", "show", `${branchOf(task)}:answer.txt`)).toBe("Red");
}, 600_000);
