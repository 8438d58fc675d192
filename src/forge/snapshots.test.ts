import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { newId, type TaskId } from "../domain/ids.ts";
import { flushPkt, pktLine } from "../domain/pkt-line.ts";
import { snapshotRef } from "../domain/session.ts";
import { createGitServer } from "./git-server.ts";
import { createSnapshotWorld, type SnapshotWorld } from "./snapshots.fixture.ts";
import { createSnapshots } from "./snapshots.ts";

// Real git on a busy machine takes its time.
setDefaultTimeout(180_000);

const quiet = { info() {}, warn() {}, error() {} };
const ids = { now: Date.now, randomBytes: (count: number) => crypto.getRandomValues(new Uint8Array(count)) };
let world: SnapshotWorld;
beforeAll(async () => {
  world = await createSnapshotWorld({ "README.md": "hello\n" });
});
afterAll(() => world.close());

const repositoryOf = (taskId: TaskId) => join(world.folder, "snapshots", taskId, "0.git");
const leftIn = async (taskId: TaskId) =>
  (await readdir(join(repositoryOf(taskId), "objects"))).filter((name) => name.startsWith("tmp_"));

/** Git is killed as the server is: when a part of a pack has come. */
async function cutOffPush(taskId: TaskId, n: number): Promise<void> {
  const to = repositoryOf(taskId);
  const before = (await leftIn(taskId)).length;
  const argv = ["git", "-c", "receive.unpackLimit=1", "receive-pack", "--stateless-rpc", to];
  const child = Bun.spawn(argv, { stdio: ["pipe", "ignore", "ignore"] });
  const command = `${"0".repeat(40)} ${"1".repeat(40)} ${snapshotRef(`cut${n}`)}\0 report-status`;
  const pack = [..."PACK", "\0\0\0\x02", "\0\0\x10\0"].join("");
  child.stdin.write(Buffer.concat([pktLine(command), flushPkt, Buffer.from(pack, "latin1")]));
  await child.stdin.flush();
  while ((await leftIn(taskId)).length === before) await Bun.sleep(10);
  child.kill("SIGKILL");
  await child.exited;
}

test("what a push that was cut off has left goes with the next push, or the next start of the server", async () => {
  const taskId = newId("TaskId", ids);
  const { head } = await world.take(taskId, { "new.txt": "kept\n" });
  await cutOffPush(taskId, 1);
  expect(await leftIn(taskId)).toHaveLength(1);

  const refused = await world.snapshots.endpointOf(taskId, 0, world.hosted).serve({
    service: "git-receive-pack",
    body: bytes([pktLine(`${head} ${"0".repeat(40)} refs/heads/main\0 report-status`), flushPkt]),
    headers: {
      contentType: "application/x-git-receive-pack-request",
      contentEncoding: undefined,
      gitProtocol: undefined,
    },
    right: { kind: "snapshots" },
    signal: new AbortController().signal,
  });
  for await (const _ of refused.body);
  expect(await leftIn(taskId)).toEqual([]);

  await cutOffPush(taskId, 2);
  await cutOffPush(taskId, 3);
  expect(await leftIn(taskId)).toHaveLength(2);
  const folder = join(world.folder, "snapshots");
  const git = await createGitServer({ folder: join(world.folder, "another-server"), log: quiet });
  const next = createSnapshots({ folder, git, log: quiet });
  while ((await leftIn(taskId)).length > 0) await Bun.sleep(10);
  await next.close();
  // What was taken before is whole.
  expect(await world.git(repositoryOf(taskId), "fsck", "--connectivity-only")).toBe("");
});

async function* bytes(parts: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* parts;
}
