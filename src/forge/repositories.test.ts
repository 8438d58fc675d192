import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { GitEndpoint } from "../domain/git-server.ts";
import type { RepositoryHost } from "../domain/ports.ts";
import type { RemoteRepository } from "../domain/repository.ts";
import { createGitServer } from "./git-server.ts";
import { createHostedRepositories } from "./hosted.ts";
import { remoteFrom } from "./mirror-remote.fixture.ts";
import { createMirrors } from "./mirrors.ts";
import { authorization, type RemoteServer, startRemoteServer } from "./remote-server.fixture.ts";
import { createRepositories } from "./repositories.ts";

// Real git on a busy machine takes its time.
setDefaultTimeout(180_000);

const quiet = { info() {}, warn() {}, error() {} };
const name = "git.example/acme/widget";
const author = { name: "Ann", email: "ann@example.org" };
const relay: GitEndpoint = {
  serve: () => Promise.reject(new Error("not here")),
  isSymbolicRef: async () => false,
};
let folder = "";
let server: RemoteServer;
let host: RepositoryHost;
let remote: RemoteRepository;
const access = { authorizationFor: async () => authorization, refused() {} };
/** What lives on the forge. */
let upstream: ReturnType<typeof createHostedRepositories>;
let hosted: ReturnType<typeof createHostedRepositories>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "ccw-repositories-"));
  upstream = createHostedRepositories({ folder: join(folder, "forge"), log: quiet, now: Date.now });
  hosted = createHostedRepositories({ folder: join(folder, "hosted"), log: quiet, now: Date.now });
  for (const [where, path] of [
    [upstream, "acme/widget"],
    [hosted, "own"],
  ] as const) {
    await where.create(path);
    const files = [{ path: "README.md", content: "one\n" }];
    await where.commitFiles(path, { branch: "main", message: "First", author, files });
  }
  server = await startRemoteServer({ folder: join(folder, "forge"), workFolder: join(folder, "work") });
  remote = {
    ...{ kind: "remote", name, forge: "work", path: "acme/widget", webUrl: "", defaultBranch: "main" },
    ...{ cloneUrl: `${server.url}/acme/widget.git`, push: { force: false, delete: false }, createdAt: 1 },
  };
  host = createRepositories({
    hosted,
    git: await createGitServer({ folder: join(folder, "git"), log: quiet }),
    mirrors: createMirrors({
      folder: join(folder, "mirrors"),
      remote: remoteFrom(join(folder, "remote"), access),
      ...{ log: quiet, now: Date.now, borrowed: () => [], repositories: () => [remote], changed() {} },
    }),
    repositoryOf: (asked) => (asked === name ? remote : undefined),
    remoteEndpoint: () => relay,
    mergeRemote: () => Promise.reject(new Error("is not asked here")),
  });
});
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

const { signal } = new AbortController();

test("a remote repository's branches and differences are as they are on its forge now", async () => {
  expect((await host.branches(name)).map((each) => each.name)).toEqual(["main"]);
  const tip = await upstream.tipOf("acme/widget", "main");
  const pushed = Bun.spawnSync([
    "git",
    `--git-dir=${upstream.pathOf("acme/widget")}`,
    "branch",
    "claude/x",
    tip,
  ]);
  expect(pushed.exitCode).toBe(0);
  const files = [{ path: "new.txt", content: "new\n" }];
  const commit = await upstream.commitFiles("acme/widget", {
    branch: "claude/x",
    message: "More",
    author,
    files,
  });
  expect(await host.branches(name)).toContainEqual({ name: "claude/x", commit });
  const { patch } = await host.diff(name, "main", "claude/x", { maxPatchBytes: 10_000 });
  expect(patch).toContain("+++ b/new.txt");
  await expect(host.diff(name, "main", "gone", { maxPatchBytes: 10_000 })).rejects.toMatchObject({
    code: "not_found",
  });
});

test("which branches a repository has is asked of its forge, and fetches nothing; what was never fetched is not here", async () => {
  const apart = createMirrors({
    ...{
      folder: join(folder, "apart"),
      log: quiet,
      now: Date.now,
      borrowed: () => [],
      repositories: () => [],
    },
    ...{ remote: remoteFrom(join(folder, "remote"), access), changed() {} },
  });
  const commit = await upstream.tipOf("acme/widget", "main");
  expect(await apart.branches(remote, signal)).toContainEqual({ name: "main", commit });
  expect(readdirSync(join(folder, "apart"))).toEqual([]);

  server.behaviour = { kind: "slow" };
  const stop = new AbortController();
  const fetching = apart.refresh(remote, stop.signal);
  while (readdirSync(join(folder, "apart")).length === 0) await Bun.sleep(5);
  expect(apart.isHere(remote)).toBe(false);
  // Others are answered meanwhile.
  expect(await apart.branches(remote, signal)).toContainEqual({ name: "main", commit });
  stop.abort(new Error("nobody wants it"));
  await expect(fetching).rejects.toThrow("nobody wants it");
  server.behaviour = { kind: "git" };
  const { folder: mirror } = await apart.refresh(remote, signal);
  expect(apart.isHere(remote)).toBe(true);
  // As upkeep marks one that is damaged; and another repository of that name is another one.
  writeFileSync(join(mirror, "ccw-damaged"), "");
  expect(apart.isHere(remote)).toBe(false);
  expect(apart.isHere({ ...remote, createdAt: 2 })).toBe(false);
  expect([host.isHere("own"), host.isHere("none")]).toEqual([true, true]);
});

test("objects come from the mirror or from the hosted repository itself, readable for whoever borrows", async () => {
  const mirror = await host.objectsOf(name, signal);
  expect(mirror).toStartWith(join(folder, "mirrors"));
  const own = await host.objectsOf("own", signal);
  expect(own).toBe(hosted.pathOf("own"));
  for (const path of [mirror, own]) expect(statSync(path).mode & 0o005).toBe(0o005);
  await expect(host.objectsOf("none", signal)).rejects.toMatchObject({ code: "not_found" });
});

test("git reaches a remote repository by its forge, and a hosted one by the appliance's own git", () => {
  expect(host.endpointOf(name)).toBe(relay);
  expect(host.endpointOf("own")).not.toBe(relay);
});
