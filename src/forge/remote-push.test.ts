import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newId } from "../domain/ids.ts";
import type { MergeRequest } from "../domain/ports.ts";
import type { RemoteRepository } from "../domain/repository.ts";
import { createGitServer } from "./git-server.ts";
import { createKeptWork } from "./kept-work.ts";
import { createRemoteMerge } from "./merge-remote.ts";
import { remoteFrom } from "./mirror-remote.fixture.ts";
import { createMirrors, type Mirrors } from "./mirrors.ts";
import { createRemotePush, type RemotePush } from "./remote-push.ts";
import { authorization, password, type RemoteServer, startRemoteServer } from "./remote-server.fixture.ts";

/** What the appliance itself pushes: merges on plain git servers, and work that waited for its forge. */

setDefaultTimeout(180_000);
const { signal } = new AbortController();
const log = { info() {}, warn() {}, error() {} };
const name = "git.example/acme/widget";

let folder = "";
let work = "";
let upstream = "";
let server: RemoteServer;
let repository: RemoteRepository;
let mirrors: Mirrors;
let remotePush: RemotePush;
let beforePush: () => void;

const freshly = async () => ({ repository, mirror: (await mirrors.refresh(repository, signal)).folder });

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "ccw-push-"));
  upstream = join(folder, "upstream/acme/widget.git");
  work = join(folder, "work");
  git(folder, "init", "-q", "--bare", "-b", "main", upstream);
  git(folder, "init", "-q", "-b", "main", work);
  commit("main", "first");
  git(work, "checkout", "-q", "-b", "work");
  commit("work", "second");
  server = await startRemoteServer({ folder: join(folder, "upstream"), workFolder: join(folder, "server") });
  const access = { authorizationFor: async () => authorization, refused() {} };
  const remote = remoteFrom(join(folder, "remote"), access);
  repository = {
    ...{ kind: "remote", name, forge: "work", path: "acme/widget", webUrl: "" },
    ...{ cloneUrl: `${server.url}/acme/widget.git`, defaultBranch: "main", createdAt: 1 },
    push: { force: false, delete: false },
  };
  mirrors = createMirrors({
    ...{ folder: join(folder, "mirrors"), remote, log, now: Date.now },
    ...{ borrowed: () => [], repositories: () => [repository], changed() {} },
  });
  const real = createRemotePush(remote);
  beforePush = () => {};
  remotePush = {
    push(...args) {
      beforePush();
      return real.push(...args);
    },
  };
});
afterEach(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

function git(cwd: string, ...args: string[]): string {
  const identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org"];
  const env = { PATH: "/usr/local/bin:/usr/bin:/bin", HOME: folder, GIT_CONFIG_NOSYSTEM: "1" };
  const { exitCode, stdout, stderr } = Bun.spawnSync(["git", ...identity, ...args], { cwd, env });
  if (exitCode !== 0) throw new Error(`git ${args.join(" ")}: ${stderr}`);
  return stdout.toString().trim();
}

function commit(branch: string, file: string, text = file): string {
  writeFileSync(join(work, file), `${text}\n`);
  git(work, "add", ".");
  git(work, "commit", "-q", "-m", file);
  git(work, "push", "-q", upstream, `HEAD:refs/heads/${branch}`);
  return git(work, "rev-parse", "HEAD");
}

const tip = (branch: string) => git(upstream, "rev-parse", branch);
const merge = (change: Partial<MergeRequest> = {}) =>
  createRemoteMerge({ folder: join(folder, "merges"), remotePush, freshly })(name, {
    ...{ base: "main", head: "work", headCommit: tip("work"), message: "Merge it\n" },
    ...{ author: { name: "Ada", email: "ada@example.org" }, ...change },
  });

test("a merge is made here and pushed: a commit with both parents, in the person's name", async () => {
  const [base, head] = [tip("main"), tip("work")];
  git(work, "checkout", "-q", "main");
  const moved = commit("main", "third");
  expect(moved).not.toBe(base);
  expect(await merge()).toEqual({ kind: "merged", commit: tip("main") });
  expect(git(upstream, "log", "-1", "--format=%an|%s|%P", "main")).toBe(`Ada|Merge it|${moved} ${head}`);
  expect(await merge()).toEqual({ kind: "contained" });
  expect(readdirSync(join(folder, "merges"))).toEqual([]);
});

test("a push to the base at the same moment is merged with, not overwritten", async () => {
  let raced = "";
  git(work, "checkout", "-q", "main");
  beforePush = () => {
    if (raced === "") raced = commit("main", "raced");
  };
  const head = tip("work");
  expect((await merge()).kind).toBe("merged");
  expect(git(upstream, "log", "-1", "--format=%P", "main")).toBe(`${raced} ${head}`);
});

test("a base that is pushed to each time is given up, and so told", async () => {
  git(work, "checkout", "-q", "main");
  let n = 0;
  beforePush = () => {
    n += 1;
    commit("main", `raced-${n}`);
  };
  await expect(merge()).rejects.toMatchObject({
    code: "conflict",
    message: expect.stringContaining("again and again"),
  });
  expect(git(upstream, "log", "-1", "--format=%s", "main")).toBe(`raced-${n}`);
});

test("conflicts are named, and what nobody has looked at is not merged; nothing moves", async () => {
  git(work, "checkout", "-q", "main");
  const main = commit("main", "second", "otherwise");
  expect(await merge()).toEqual({ kind: "conflicts", files: ["second"] });
  expect(await merge({ headCommit: main })).toEqual({ kind: "moved", headCommit: tip("work") });
  await expect(merge({ head: "gone" })).rejects.toMatchObject({ code: "not_found" });
  expect(tip("main")).toBe(main);
});

test("a server that forbids the push is told as such, without the credential", async () => {
  beforePush = () => {
    server.behaviour = { kind: "status", status: 403 };
  };
  const error = await merge().catch((thrown: Error) => thrown);
  expect(error).toMatchObject({ code: "forbidden" });
  expect(JSON.stringify(error) + String(error)).not.toContain(password);
});

test("kept work holds no more than what is new, keeps its mirror, and goes to the forge when that takes it", async () => {
  const kept = createKeptWork({
    ...{ folder: join(folder, "kept"), remotePush, freshly },
    git: await createGitServer({ folder: join(folder, "git"), log }),
    ...{ maxBytes: 100_000, keepDays: 2 },
  });
  const { mirror } = await freshly();
  const task = newId("TaskId", { now: () => 0, randomBytes: (count) => new Uint8Array(count) });
  const to = { workBranch: "work", branch: "work" };
  expect(await kept.push(task, name, to, signal)).toBeUndefined();
  const right = { kind: "branch", branch: "work", force: true, delete: false } as const;
  const headers = { contentType: undefined, contentEncoding: undefined, gitProtocol: undefined };
  const endpoint = kept.endpointOf(task, name, mirror);
  const advertise = { service: "git-receive-pack", body: undefined, headers, right, signal } as const;
  const answer = await endpoint.serve({
    service: "git-receive-pack",
    body: undefined,
    headers,
    right,
    signal,
  });
  // What the mirror has is on offer, so that nothing of it is sent.
  expect(Buffer.concat(await Array.fromAsync(answer.body)).toString()).toContain(`${tip("main")} .have`);
  const place = join(folder, "kept", readdirSync(join(folder, "kept"))[0] ?? "");
  git(work, "commit", "-q", "--allow-empty", "-m", "not taken");
  const commit = git(work, "rev-parse", "HEAD");
  git(work, "push", "-q", `file://${place}`, "HEAD:refs/heads/work");
  expect(git(place, "count-objects")).toStartWith("1 objects");
  expect(kept.borrowed()).toEqual([mirror]);
  const row = { id: task, updatedAt: 1000, repositories: [{ name, baseBranch: "main", workBranch: "work" }] };
  expect(kept.of(row)).toEqual([{ repository: name, branch: "work", commit, until: 1000 + 2 * 86_400_000 }]);
  expect([kept.tasks(), kept.of({ ...row, repositories: [] })]).toEqual([[task], []]);

  await (await endpoint.serve(advertise)).body[Symbol.asyncIterator]().return?.();
  await Bun.write(join(place, "objects/ab", "c".repeat(38)), new Uint8Array(200_000));
  expect(await endpoint.serve(advertise)).toMatchObject({ status: 413 });
  rmSync(join(place, "objects/ab"), { recursive: true });

  server.behaviour = { kind: "status", status: 404 };
  await expect(kept.push(task, name, to, signal)).rejects.toMatchObject({ code: "not_found" });
  server.behaviour = { kind: "git" };
  const pushing = kept.push(task, name, to, signal);
  await expect(kept.push(task, name, to, signal)).rejects.toMatchObject({ code: "conflict" });
  expect(await kept.remove(task, name)).toBe(false);
  expect(await pushing).toBe(commit);
  expect([tip("work"), existsSync(place), kept.borrowed()]).toEqual([commit, false, []]);
  expect([kept.tasks(), kept.of(row)]).toEqual([[], []]);
});
