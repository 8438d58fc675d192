import { afterAll, afterEach, beforeAll, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type AppServer, startAppServer } from "../../test/fixtures/app-server.ts";
import { until } from "../../test/until.ts";
import { beginCli } from "../cli/wiring.fixture.ts";
import type { TaskId } from "../domain/ids.ts";
import { createSnapshotWorld, type SnapshotWorld } from "../forge/snapshots.fixture.ts";

/** Snapshots as people get them: over HTTP and from the command line, with real git behind. */

setDefaultTimeout(180_000);

let world: SnapshotWorld;
let server: AppServer;
let folder: string;
let id: TaskId;
const noise = crypto.getRandomValues(new Uint8Array(5000));

beforeAll(async () => {
  world = await createSnapshotWorld({
    "README.md": "hello\n",
    // The repository would have archives without its secrets, and with a version written in.
    ".gitattributes": "secret.txt export-ignore\nversion.txt export-subst\n*.bin diff=evil\n",
    "secret.txt": "s\n",
    "version.txt": "$Format:%H$\n",
    "latin.txt": Uint8Array.of(0xe9, 0x0a),
  });
});
afterAll(() => world.close());
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "snapshots-http-"));
  server = startAppServer({ snapshots: world.snapshots });
  const repositories = [{ name: "demo", baseBranch: "main", workBranch: "claude/work" }];
  id = server.submit({ title: "Make it so", repositories });
  const prompt = server.store.prompts.nextQueued(id);
  if (prompt === undefined) throw new Error("no prompt");
  const play = server.play(id);
  play({ kind: "turn_started", promptId: prompt.id });
  server.store.prompts.mark(prompt.id, "taken");
  const files = { "noise.bin": noise, "a b/ü.txt": "odd name\n", "latin.txt": Uint8Array.of(0xe8, 0x0a) };
  const taken = await world.take(id, files);
  server.store.snapshots.add({ taskId: id, promptId: prompt.id, repositories: [taken], session: "" });
  const again = await world.take(id, { "README.md": "hello again\n" });
  server.store.snapshots.add({ taskId: id, promptId: prompt.id, repositories: [again], session: "" });
});
afterEach(async () => {
  await server.close();
  await world.git(world.work, "reset", "-q", "--hard", "HEAD");
  await rm(folder, { recursive: true, force: true });
});

const get = (path: string) =>
  fetch(`${server.url}/api${path}`, { headers: { authorization: `Bearer ${server.token}` } });
async function cli(...argv: string[]) {
  return beginCli(server.dataFolder, argv).ended;
}
/** A fresh checkout of the base branch. */
async function checkout(): Promise<string> {
  const path = join(folder, `checkout-${crypto.randomUUID()}`);
  await world.git(folder, "clone", "-q", world.hosted, path);
  return path;
}

test("a patch brings a checkout of the base branch to what the turn had, binary files and odd names included", async () => {
  const response = await get(`/tasks/${id}/snapshots/2/patch`);
  expect(response.headers.get("content-disposition")).toBe(
    `attachment; filename="demo-${id.slice(-6)}-turn-2.patch"`,
  );
  expect(response.headers.get("content-type")).toBe("application/octet-stream");
  const path = await checkout();
  await Bun.write(join(folder, "p"), await response.arrayBuffer());
  await world.git(path, "apply", join(folder, "p"));
  expect(new Uint8Array(await Bun.file(join(path, "noise.bin")).arrayBuffer())).toEqual(noise);
  expect(await Bun.file(join(path, "a b/ü.txt")).text()).toBe("odd name\n");
  expect(new Uint8Array(await Bun.file(join(path, "latin.txt")).arrayBuffer())).toEqual(
    Uint8Array.of(0xe8, 0x0a),
  );
  expect(await Bun.file(join(path, "README.md")).text()).toBe("hello again\n");
  expect(await (await get(`/tasks/${id}/snapshots/2/patch?from=1`)).text()).not.toContain("noise.bin");
});

for (const format of ["tar.gz", "zip"]) {
  test(`a ${format} has every file as it was, whatever the repository says of archives`, async () => {
    const response = await get(`/tasks/${id}/snapshots/1/archive?format=${format}`);
    const name = `demo-${id.slice(-6)}-turn-1`;
    expect(response.headers.get("content-disposition")).toBe(`attachment; filename="${name}.${format}"`);
    const file = join(folder, `archive.${format}`);
    await Bun.write(file, await response.arrayBuffer());
    const argv = format === "zip" ? ["python3", "-m", "zipfile", "-e", file, folder] : ["tar", "xzf", file];
    expect(Bun.spawnSync(argv, { cwd: folder }).exitCode).toBe(0);
    const root = join(folder, name);
    expect((await readdir(root)).sort()).toEqual(
      [".gitattributes", "README.md", "a b", "latin.txt", "noise.bin", "secret.txt", "version.txt"].sort(),
    );
    expect(await Bun.file(join(root, "version.txt")).text()).toBe("$Format:%H$\n");
    expect(new Uint8Array(await Bun.file(join(root, "noise.bin")).arrayBuffer())).toEqual(noise);
  });
}

test("what is not there is said so, and what is asked wrongly is refused", async () => {
  const status = async (path: string) => (await get(`/tasks/${id}/snapshots${path}`)).status;
  expect(await status("/3/diff")).toBe(404);
  expect(await status("/3/patch")).toBe(404);
  expect(await status("/0/diff")).toBe(400);
  expect(await status("/1e3/archive")).toBe(404);
  expect(await status("/1/diff?from=-1")).toBe(400);
  expect(await status("/1/archive?format=tar")).toBe(400);
  expect(await status("/1/archive?repository=other")).toBe(404);
  expect((await fetch(`${server.url}/api/tasks/${id}/snapshots/1/patch`)).status).toBe(401);
  const other = server.submit({ title: "Other" });
  expect((await get(`/tasks/${other}/snapshots/1/archive`)).status).toBe(404);
});

test("the command line lists turns, compares them, and saves patches and archives", async () => {
  const listed = await cli("task", "turns", id);
  expect(listed.out).toMatch(/1 +.*3 +.*Make it so\n/);
  expect(JSON.parse((await cli("task", "turns", id, "--json")).out)).toMatchObject([
    { turn: 1, files: 3 },
    { turn: 2, previous: 1, files: 1 },
  ]);
  const diff = await cli("task", "diff", id, "--turn", "2", "--from", "1");
  expect(diff.out).toContain("+hello again");
  expect(diff.out).not.toContain("odd name");
  expect((await cli("task", "diff", id, "--turn", "1")).out).toContain("odd name");

  const patch = join(folder, "work.patch");
  expect(await cli("task", "patch", id, "-o", patch)).toMatchObject({
    code: 0,
    err: `Written to ${patch}.\n`,
  });
  const nowhere = await cli("task", "patch", id, "-o", join(folder, "none", "work.patch"));
  expect(nowhere).toMatchObject({
    code: 2,
    err: expect.stringContaining("hint: The folder has to be there"),
  });
  const path = await checkout();
  await world.git(path, "apply", patch);
  expect(await Bun.file(join(path, "README.md")).text()).toBe("hello again\n");
  const again = await cli("task", "patch", id, "-o", patch);
  expect(again.code).not.toBe(0);
  expect(again.err).toContain("already");
  const zip = join(folder, "work.zip");
  expect((await cli("task", "files", id, "--turn", "1", "-o", zip)).code).toBe(0);
  expect(Buffer.from(await Bun.file(zip).arrayBuffer()).toString("latin1", 0, 2)).toBe("PK");
});

test("the command line rolls back and forks", async () => {
  const early = await cli("task", "rollback", id, "1");
  expect(early.err).toContain("is running");
  const sandboxId = server.store.sandboxes.current(id)?.id;
  if (sandboxId === undefined) throw new Error("no sandbox");
  server.store.tasks.move(id, { kind: "idle", sandboxId, summary: "Done", interrupted: false });
  expect((await cli("task", "rollback", id, "1")).code).toBe(0);
  expect(server.store.tasks.get(id)).toMatchObject({ state: { kind: "completed" }, restore: { turn: 1 } });
  const forked = await cli("task", "fork", id, "2", "Try it without");
  const made = server.store.tasks.get(forked.out.trim() as TaskId);
  expect(made).toMatchObject({ title: "Try it without", restore: { taskId: id, turn: 2 } });
  expect((await cli("task", "fork", id, "9", "x")).err).toContain("no snapshot of a turn 9");
});

test("an archive whose reader goes away ends its git", async () => {
  const big = Object.fromEntries(
    Array.from({ length: 40 }, (_, at) => [`big-${at}`, crypto.getRandomValues(new Uint8Array(65536))]),
  );
  const taken = await world.take(id, big);
  const before = gitsOf();
  const leaving = new AbortController();
  const stream = await world.snapshots.archive(
    { taskId: id, index: 0, commit: taken.commit, format: "tar.gz", name: "x" },
    leaving.signal,
  );
  const reader = stream.getReader();
  await reader.read();
  expect(gitsOf()).toBe(before + 1);
  await reader.cancel();
  await until("its git has ended", () => gitsOf() === before);
});

/** Running `git archive` of this test's folder. */
function gitsOf(): number {
  const { stdout } = Bun.spawnSync(["ps", "-eo", "args"]);
  return stdout
    .toString()
    .split("\n")
    .filter((line) => line.includes(world.folder) && line.includes("archive --format")).length;
}
