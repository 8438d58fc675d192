import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newId, type SandboxId, type TaskId } from "../../src/domain/ids.ts";
import { createGitServer } from "../../src/forge/git-server.ts";
import { createSnapshots } from "../../src/forge/snapshots.ts";
import { createGitDoor } from "../../src/gateway/git/git-door.ts";

/**
 * How long git takes to push a snapshot through a real door: ten changed files of a repository with 20,000, turn by turn.
 * Run by `bun test/bench/snapshots.ts [turns]`.
 */

const turns = Number(process.argv[2] ?? 60);
const files = 20_000;
const folder = await mkdtemp(join(tmpdir(), "snapshot-bench-"));
const quiet = { info() {}, warn() {}, error() {} };
const ids = { now: Date.now, randomBytes: (count: number) => crypto.getRandomValues(new Uint8Array(count)) };
const taskId: TaskId = newId("TaskId", ids);
const sandbox: { id: SandboxId; taskId: TaskId } = { id: newId("SandboxId", ids), taskId };

async function git(cwd: string, ...args: string[]): Promise<string> {
  const child = Bun.spawn(["git", "-c", "user.name=B", "-c", "user.email=b@example.org", ...args], {
    cwd,
    env: { PATH: process.env["PATH"] ?? "", HOME: folder, GIT_CONFIG_NOSYSTEM: "1" },
    ...{ stdin: "ignore", stdout: "pipe", stderr: "pipe" },
  });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if ((await child.exited) !== 0) throw new Error(err);
  return out.trim();
}

const work = join(folder, "work");
const mirror = join(folder, "mirror.git");
const content = (seed: number) => `line ${seed}\n`.repeat(400) + crypto.randomUUID();
await git(folder, "init", "-q", "-b", "main", work);
for (let at = 0; at < files; at++) {
  await Bun.write(join(work, `d${at % 200}/f${at}.ts`), content(at));
}
await git(work, "add", "-A");
await git(work, "commit", "-qm", "First");
await git(folder, "clone", "-q", "--mirror", work, mirror);

const snapshots = createSnapshots({
  folder: join(folder, "snapshots"),
  git: await createGitServer({ folder: join(folder, "server"), log: quiet }),
  log: quiet,
});
const door = createGitDoor({
  log: quiet,
  tokens: { tokenFor: () => "t", matches: () => true },
  port: {
    grantFor: (_id, name) => ({
      ...{ name, right: { kind: "snapshots" } },
      endpoint: snapshots.endpointOf(taskId, 0, mirror),
    }),
    refused() {},
  },
});
const server = createServer((request, response) => {
  void door(sandbox, request, response, (request.url ?? "").slice("/git".length));
}).listen(0, "127.0.0.1");
await new Promise((resolve) => server.once("listening", resolve));
const address = server.address();
if (typeof address !== "object" || address === null) throw new Error("no port");
const url = `http://git:t@127.0.0.1:${address.port}/git/snapshots.invalid/0`;

let onto = ["-p", "HEAD"];
const taken: number[] = [];
const pushed: number[] = [];
for (let turn = 1; turn <= turns; turn++) {
  for (let at = 0; at < 10; at++) {
    const file = (turn * 10 + at) % files;
    await Bun.write(join(work, `d${file % 200}/f${file}.ts`), content(-turn));
  }
  const began = performance.now();
  await git(work, "add", "-A");
  const tree = await git(work, "write-tree");
  const commit = await git(work, "commit-tree", ...onto, "-m", "Snapshot", tree);
  onto = ["-p", "HEAD", "-p", commit];
  const ready = performance.now();
  await git(work, "push", "-q", url, `${commit}:refs/ccw/snapshots/turn${turn}`);
  taken.push(ready - began);
  pushed.push(performance.now() - ready);
}

const at = (list: readonly number[], share: number) =>
  Math.round(list.toSorted((a, b) => a - b)[Math.floor(share * (list.length - 1))] ?? 0);
const own = join(folder, "snapshots", taskId, "0.git");
const held = await git(own, "count-objects", "-vH");
process.stdout.write(
  `${turns} turns of 10 of ${files} files, ms: taken p50 ${at(taken, 0.5)}, p95 ${at(taken, 0.95)}; ` +
    `pushed p50 ${at(pushed, 0.5)}, p95 ${at(pushed, 0.95)}, first ${at(pushed.slice(0, 1), 0)}\n` +
    `${held.replaceAll("\n", ", ")}\n`,
);
server.close();
await snapshots.close();
await rm(folder, { recursive: true, force: true });
