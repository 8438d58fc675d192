import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { commandLines } from "../../test/machine.ts";
import { until } from "../../test/until.ts";
import type { RemoteRepository } from "../domain/repository.ts";
import { testCertificate, testKey } from "../gateway/model/tls.fixture.ts";
import type { MirrorOptions } from "./mirror-generations.ts";
import { remoteFrom } from "./mirror-remote.fixture.ts";
import { createMirrors } from "./mirrors.ts";
import { authorization, password, type RemoteServer, startRemoteServer } from "./remote-server.fixture.ts";

// Real git on a busy machine takes its time.
setDefaultTimeout(180_000);
const path = "/usr/local/bin:/usr/bin:/bin";

let folder = "";
let upstream = "";
let work = "";
let server: RemoteServer;
let logged: string[] = [];
let borrowed: string[] = [];
let changes: unknown[] = [];
let clock = 0;
const { signal } = new AbortController();

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "ccw-mirrors-"));
  [logged, borrowed, changes, clock] = [[], [], [], Date.now()];
  upstream = join(folder, "upstream/acme/widget.git");
  work = join(folder, "work");
  git(folder, "init", "-q", "--bare", "-b", "main", upstream);
  git(folder, "init", "-q", "-b", "main", work);
  commit("first");
  server = await startRemoteServer({ folder: join(folder, "upstream"), workFolder: join(folder, "server") });
});
afterEach(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

function git(cwd: string, ...args: string[]): string {
  const env = { PATH: path, HOME: folder, GIT_CONFIG_NOSYSTEM: "1" };
  const identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org"];
  const { status, stdout, stderr } = spawnSync("git", [...identity, ...args], { cwd, env, encoding: "utf8" });
  if (status !== 0) throw new Error(`git ${args.join(" ")}: ${stderr}`);
  return stdout.trim();
}

/** Adds a commit with some bytes to upstream's branch. */
function commit(name: string, branch = "main", bytes = 1000): string {
  writeFileSync(
    join(work, name),
    Buffer.from(crypto.getRandomValues(new Uint8Array(Math.min(bytes, 65_536)))),
  );
  git(work, "add", ".");
  git(work, "commit", "-qm", name);
  git(work, "push", "-qf", upstream, `HEAD:refs/heads/${branch}`);
  return git(work, "rev-parse", "HEAD");
}

const repository = (change: Partial<RemoteRepository> = {}): RemoteRepository => ({
  ...{ kind: "remote", name: "git.example/acme/widget", forge: "work", path: "acme/widget" },
  ...{ cloneUrl: `${server.url}/acme/widget.git`, webUrl: "", defaultBranch: "main" },
  ...{ push: { force: false, delete: false }, createdAt: 1 },
  ...change,
});

const access = { authorizationFor: async () => authorization, refused() {} };

function mirrors(change: Partial<MirrorOptions> = {}) {
  const log = (message: string, fields?: object) =>
    void logged.push(`${message} ${JSON.stringify(fields ?? {})}`);
  return createMirrors({
    folder: join(folder, "mirrors"),
    remote: remoteFrom(join(folder, "remote"), access),
    log: { info: log, warn: log, error: log },
    now: () => clock,
    borrowed: () => borrowed,
    repositories: () => [repository()],
    changed: (name, what) => void changes.push([name, what]),
    ...change,
  });
}

const headOf = (mirror: string, branch = "main") => git(mirror, "rev-parse", `refs/heads/${branch}`);
const packsIn = (mirror: string) =>
  readdirSync(join(mirror, "objects/pack"))
    .filter((name) => name.endsWith(".pack"))
    .map((name) => join(mirror, "objects/pack", name));
const numberOf = (mirror: string) => Number.parseInt(basename(mirror), 10);

test("a mirror has every branch and tag as they are now, with HEAD, and forgets what was deleted", async () => {
  const house = mirrors();
  git(work, "tag", "-a", "v1", "-m", "one");
  git(work, "push", "-q", upstream, "v1", "HEAD:refs/heads/side/one", "HEAD:refs/pull/1/head");
  const { folder: mirror } = await house.refresh(repository(), signal);
  expect(git(mirror, "for-each-ref", "--format=%(refname)")).toBe(
    "refs/heads/main\nrefs/heads/side/one\nrefs/tags/v1",
  );
  expect(git(mirror, "symbolic-ref", "HEAD")).toBe("refs/heads/main");
  git(work, "push", "-q", upstream, ":refs/heads/side/one", "HEAD:refs/heads/side");
  const tip = commit("second");
  expect((await house.refresh(repository(), signal)).folder).toBe(mirror);
  expect(git(mirror, "for-each-ref", "--format=%(refname)", "refs/heads")).toBe(
    "refs/heads/main\nrefs/heads/side",
  );
  expect(headOf(mirror)).toBe(tip);
});

test("with nothing new, two small requests are all that travels", async () => {
  const house = mirrors();
  await house.refresh(repository(), signal);
  server.requests = [];
  const before = server.sentBytes();
  await house.refresh(repository(), signal);
  expect(server.requests).toEqual([
    "GET /acme/widget.git/info/refs",
    "POST /acme/widget.git/git-upload-pack",
  ]);
  expect(server.sentBytes() - before).toBeLessThan(1000);
});

test("a server of version 0 is mirrored, too", async () => {
  const old = await startRemoteServer({
    ...{ folder: join(folder, "upstream"), workFolder: join(folder, "server"), version0: true },
  });
  const { folder: mirror } = await mirrors().refresh(
    repository({ cloneUrl: `${old.url}/acme/widget.git` }),
    signal,
  );
  expect(headOf(mirror)).toBe(git(work, "rev-parse", "HEAD"));
  await old.close();
});

test("over HTTPS the company's authority is believed, and nobody unknown", async () => {
  const secure = await startRemoteServer({
    ...{ folder: join(folder, "upstream"), workFolder: join(folder, "server") },
    tls: { key: testKey, cert: testCertificate },
  });
  const remote = repository({ cloneUrl: `${secure.url.replace("127.0.0.1", "localhost")}/acme/widget.git` });
  await expect(mirrors().refresh(remote, signal)).rejects.toMatchObject({ code: "unavailable" });
  const network = { proxy: undefined, authorities: [testCertificate] };
  const house = mirrors({ remote: remoteFrom(join(folder, "company"), access, network) });
  expect(headOf((await house.refresh(remote, signal)).folder)).toBe(git(work, "rev-parse", "HEAD"));
  await secure.close();
});

test("the company's proxy is used for all of it, with its password", async () => {
  const asked: string[] = [];
  // A proxy for plain HTTP takes absolute addresses.
  const proxy = Bun.serve({
    port: 0,
    async fetch(request) {
      asked.push(`${request.headers.get("proxy-authorization")} ${new URL(request.url).pathname}`);
      const headers = new Headers(request.headers);
      headers.delete("proxy-authorization");
      const body = request.method === "POST" ? await request.arrayBuffer() : null;
      return fetch(request.url, { method: request.method, headers, body, decompress: false });
    },
  });
  const network = { proxy: `http://ann:pw@127.0.0.1:${proxy.port}`, authorities: undefined };
  const remote = remoteFrom(join(folder, "remote"), access, network);
  await mirrors({ remote }).refresh(repository(), signal);
  expect(asked.length).toBeGreaterThanOrEqual(4);
  expect(new Set(asked.map((each) => each.split(" ")[1]))).toEqual(new Set([btoa("ann:pw")]));
  await proxy.stop(true);
});

test("who comes while a refresh runs gets an answer that is no older than the question", async () => {
  const house = mirrors();
  const first = house.refresh(repository(), signal);
  await Bun.sleep(5);
  const tip = commit("while it ran");
  const later = await Promise.all(Array.from({ length: 5 }, () => house.refresh(repository(), signal)));
  expect(new Set(later.map((each) => each.folder))).toEqual(new Set([(await first).folder]));
  expect(headOf((await first).folder)).toBe(tip);
  // One for the first, one for all others.
  expect(server.requests.filter((each) => each.startsWith("GET")).length).toBeLessThanOrEqual(4);
});

test("a refresh that nobody waits for any more is ended, and the next one works", async () => {
  const house = mirrors();
  commit("large", "main", 65_536);
  server.behaviour = { kind: "slow" };
  const stop = new AbortController();
  const refreshing = house.refresh(repository(), stop.signal);
  await until("it fetches", () => server.requests.filter((each) => each.startsWith("POST")).length >= 3);
  stop.abort(new Error("gone"));
  await expect(refreshing).rejects.toThrow("gone");
  await until("it has ended", () => gitProcesses() === 0);
  server.behaviour = { kind: "git" };
  const { folder: mirror } = await house.refresh(repository(), signal);
  git(mirror, "fsck", "--full");
});

test("401, 403 and 404 serve nobody, whatever the mirror holds", async () => {
  let refused = 0;
  const access = { authorizationFor: async () => authorization, refused: () => void refused++ };
  const house = mirrors({ remote: remoteFrom(join(folder, "remote"), access) });
  await house.refresh(repository(), signal);
  for (const [status, code] of [
    [401, "forbidden"],
    [403, "forbidden"],
    [404, "not_found"],
  ] as const) {
    server.behaviour = { kind: "status", status };
    await expect(house.refresh(repository(), signal)).rejects.toMatchObject({
      code,
      message: expect.stringContaining("renamed, removed or made private"),
    });
  }
  expect(refused).toBe(1);
  for (const status of [500, 503, 429]) {
    server.behaviour = { kind: "status", status };
    await expect(house.refresh(repository(), signal)).rejects.toMatchObject({ code: "unavailable" });
  }
});

test("no connection is unavailable", async () => {
  const remote = repository({ cloneUrl: "http://127.0.0.1:1/acme/widget.git" });
  await expect(mirrors().refresh(remote, signal)).rejects.toMatchObject({ code: "unavailable" });
});

test("a repository that was renamed on its forge is followed on the same host, and known by it afterwards", async () => {
  const house = mirrors();
  await house.refresh(repository(), signal);
  const tip = commit("second");
  git(folder, "clone", "-q", "--bare", upstream, join(folder, "upstream/acme/gadget.git"));
  let asked = 0;
  const { cloneUrl } = repository();
  const moving = Bun.serve({
    port: 0,
    fetch(request) {
      asked++;
      const { pathname, search } = new URL(request.url);
      const to = pathname.replace("widget", "gadget") + search;
      return pathname.includes("widget") ? Response.redirect(to, 301) : fetch(new URL(to, cloneUrl), request);
    },
  });
  const moved = repository({
    cloneUrl: `http://127.0.0.1:${moving.port}/acme/widget.git`,
    webUrl: "http://x/acme/widget",
  });
  const { folder: mirror } = await house.refresh(moved, signal);
  expect(headOf(mirror)).toBe(tip);
  expect(changes).toEqual([
    [
      "git.example/acme/widget",
      {
        cloneUrl: `http://127.0.0.1:${moving.port}/acme/gadget.git`,
        path: "acme/gadget",
        webUrl: "http://x/acme/gadget",
      },
    ],
  ]);
  expect(asked).toBeGreaterThan(2);
  await moving.stop(true);
});

test("a redirect to another host is not followed, and the credential stays", async () => {
  const seen: (string | null)[] = [];
  const other = Bun.serve({
    port: 0,
    fetch: (request) => {
      seen.push(request.headers.get("authorization"));
      return new Response("");
    },
  });
  const location = `http://localhost:${other.port}/acme/widget.git/info/refs?service=git-upload-pack`;
  server.behaviour = { kind: "status", status: 302, location };
  await expect(mirrors().refresh(repository(), signal)).rejects.toThrow("not followed");
  expect(seen).toEqual([]);
  await other.stop(true);
});

test("an empty repository has a mirror, which fills later; another default branch is told", async () => {
  const empty = join(folder, "upstream/acme/empty.git");
  git(folder, "init", "-q", "--bare", "-b", "trunk", empty);
  const remote = repository({ name: "git.example/acme/empty", cloneUrl: `${server.url}/acme/empty.git` });
  const house = mirrors();
  const { folder: mirror } = await house.refresh(remote, signal);
  expect(git(mirror, "symbolic-ref", "HEAD")).toBe("refs/heads/trunk");
  expect(changes).toEqual([["git.example/acme/empty", { defaultBranch: "trunk" }]]);
  git(work, "push", "-q", empty, "HEAD:trunk");
  expect(headOf((await house.refresh(remote, signal)).folder, "trunk")).toBe(git(work, "rev-parse", "HEAD"));
});

test("a SHA-256 repository has a mirror, even one that was empty and of no kind before", async () => {
  const path = join(folder, "upstream/acme/sha.git");
  const remote = repository({ name: "git.example/acme/sha", cloneUrl: `${server.url}/acme/sha.git` });
  const house = mirrors();
  git(folder, "init", "-q", "--bare", "-b", "main", path);
  const before = await house.refresh(remote, signal);
  rmSync(path, { recursive: true });
  git(folder, "init", "-q", "--bare", "-b", "main", "--object-format=sha256", path);
  const long = join(folder, "long");
  git(folder, "init", "-q", "--object-format=sha256", "-b", "main", long);
  git(long, "commit", "-q", "--allow-empty", "-m", "one");
  git(long, "push", "-q", path, "main");
  const after = await house.refresh(remote, signal);
  expect(headOf(after.folder)).toMatch(/^[0-9a-f]{64}$/);
  expect(numberOf(after.folder)).toBe(numberOf(before.folder) + 1);
});

test("what sandboxes see as nobody's is readable, and the folder around it is not", async () => {
  const { folder: mirror } = await mirrors().refresh(repository(), signal);
  for (const path of ["", "HEAD", "config", "objects/pack", "refs/heads", "packed-refs"])
    expect(statSync(join(mirror, path)).mode & 0o004).toBe(0o004);
  for (const pack of packsIn(mirror)) expect(statSync(pack).mode & 0o777).toBe(0o444);
  expect(statSync(join(folder, "mirrors")).mode & 0o777).toBe(0o700);
});

test("the credential stands in no file, no log line and no argument", async () => {
  const house = mirrors();
  await house.refresh(repository(), signal);
  server.behaviour = { kind: "slow" };
  commit("large", "main", 65_536);
  const stop = new AbortController();
  const refreshing = Promise.allSettled([house.refresh(repository(), stop.signal)]);
  await until("git runs", () => gitProcesses() > 0);
  const lines = spawnSync("ps", ["axww", "-o", "args"], { encoding: "utf8" }).stdout;
  stop.abort();
  await refreshing;
  const secret = Buffer.from(`x:${password}`).toString("base64");
  expect(lines).toContain("acme/widget.git");
  expect(`${lines}${logged.join("")}`).not.toContain(secret);
  expect(spawnSync("grep", ["-rlF", "-e", secret, "-e", password, join(folder, "mirrors")]).status).toBe(1);
});

for (const [what, spoil] of [
  ["a pack that is cut short", (mirror: string) => halve(packsIn(mirror)[0])],
  ["an index that is cut short", (mirror: string) => halve(packsIn(mirror)[0]?.replace(/pack$/, "idx"))],
  ["a pack that is gone", (mirror: string) => rmSync(packsIn(mirror)[0] ?? "")],
  [
    "a pack that is gone with its index",
    (mirror: string) => {
      for (const pack of packsIn(mirror))
        for (const end of ["pack", "idx"]) rmSync(pack.replace(/pack$/, end));
    },
  ],
  ["a lost config", (mirror: string) => rmSync(join(mirror, "config"))],
  ["a lost HEAD", (mirror: string) => rmSync(join(mirror, "HEAD"))],
] as const) {
  test(`${what} is noticed at the next refresh, and the mirror is made anew`, async () => {
    const house = mirrors();
    const before = await house.refresh(repository(), signal);
    spoil(before.folder);
    const after = await house.refresh(repository(), signal);
    expect(numberOf(after.folder)).toBe(2);
    git(after.folder, "fsck", "--full");
    expect(logged.join("\n")).toContain("a mirror is damaged and is made anew");
    expect((await mirrors().refresh(repository(), signal)).folder).toBe(after.folder);
  });
}

test("bytes that changed within a pack are noticed by upkeep", async () => {
  const house = mirrors();
  const { folder: mirror } = await house.refresh(repository(), signal);
  const [pack = ""] = packsIn(mirror);
  const bytes = readFileSync(pack);
  bytes.fill(0x55, bytes.length >> 1, (bytes.length >> 1) + 40);
  rmSync(pack);
  writeFileSync(pack, bytes);
  await house.maintain(signal);
  expect(logged.join("\n")).toContain("is made anew when it is used next");
  git((await house.refresh(repository(), signal)).folder, "fsck", "--full");
});

test("flaws that old tools left in a history are not taken for damage", async () => {
  const tree = git(work, "rev-parse", "HEAD^{tree}");
  const text = `tree ${tree}\nauthor Ann<ann@example.org> 1 +0000\ncommitter Ann<ann@example.org> 1 +0000\n\nold\n`;
  const object = ["hash-object", "-t", "commit", "-w", "--literally", "--stdin"];
  const made = spawnSync("git", object, { cwd: work, input: text, encoding: "utf8" }).stdout.trim();
  git(work, "push", "-q", upstream, `${made}:refs/heads/old`);
  expect(() => git(upstream, "fsck")).toThrow("missingSpaceBeforeEmail");
  const house = mirrors();
  const { folder: mirror } = await house.refresh(repository(), signal);
  await house.maintain(signal);
  expect((await house.refresh(repository(), signal)).folder).toBe(mirror);
  expect(logged.join("\n")).not.toContain("damaged");
});

test("many packs become one in a new generation; the old one stays while it is borrowed, and no object of it goes", async () => {
  const house = mirrors({ limits: { manyPacks: 4 } });
  const { folder: old } = await house.refresh(repository(), signal);
  const sandbox = join(folder, "sandbox");
  git(folder, "clone", "-q", "--reference", old, upstream, sandbox);
  const lost = git(sandbox, "rev-parse", "HEAD");
  borrowed = [old];
  git(work, "checkout", "-q", "--orphan", "other");
  for (let n = 0; n < 4; n++) {
    commit(`file ${n}`);
    await house.refresh(repository(), signal);
  }
  await house.maintain(signal);
  const { folder: fresh } = await house.refresh(repository(), signal);
  expect([numberOf(old), numberOf(fresh)]).toEqual([1, 2]);
  expect(packsIn(fresh)).toHaveLength(1);
  expect(headOf(fresh)).toBe(git(work, "rev-parse", "HEAD"));
  expect(() => git(fresh, "cat-file", "-e", lost)).toThrow();
  clock += 3600_000;
  await house.maintain(signal);
  git(sandbox, "fsck", "--full");
  expect(git(sandbox, "cat-file", "-t", lost)).toBe("commit");
  borrowed = [];
  await house.maintain(signal);
  expect(existsSync(old)).toBe(false);
  expect(existsSync(fresh)).toBe(true);
});

test("what was handed out a moment ago stays, though nobody has said yet that it is borrowed", async () => {
  const house = mirrors();
  const { folder: old } = await house.refresh(repository(), signal);
  halve(packsIn(old)[0]);
  await house.refresh(repository(), signal);
  await house.maintain(signal);
  expect(existsSync(old)).toBe(true);
  clock += 16 * 60_000;
  await house.maintain(signal);
  expect(existsSync(old)).toBe(false);
});

test("the mirror of a repository that was removed goes, and one that is added again begins anew", async () => {
  const house = mirrors({ repositories: () => [repository({ createdAt: 2 })] });
  const { folder: first } = await house.refresh(repository(), signal);
  const { folder: second } = await house.refresh(repository({ createdAt: 2 }), signal);
  expect(second).not.toBe(first);
  clock += 3600_000;
  await house.maintain(signal);
  expect([existsSync(join(first, "..")), existsSync(second)]).toEqual([false, true]);
});

test("a fetch that a killed server left running is ended, and what it left is tidied away", async () => {
  commit("large", "main", 65_536);
  const program = `
    const { createMirrors } = await import(${JSON.stringify(join(import.meta.dir, "mirrors.ts"))});
    const { remoteFrom } = await import(${JSON.stringify(join(import.meta.dir, "mirror-remote.fixture.ts"))});
    const log = { info() {}, warn() {}, error() {} };
    const options = JSON.parse(process.argv[1]);
    const house = createMirrors({
      folder: options.folder, log, now: Date.now, borrowed: () => [], repositories: () => [], changed() {},
      remote: remoteFrom(options.folder, { authorizationFor: async () => options.authorization, refused() {} }),
    });
    await house.refresh(options.repository, new AbortController().signal);`;
  server.behaviour = { kind: "slow" };
  const options = { folder: join(folder, "mirrors"), repository: repository(), authorization };
  const child = Bun.spawn([process.execPath, "-e", program, JSON.stringify(options)], {
    env: { PATH: path },
    stdio: ["ignore", "ignore", "inherit"],
  });
  await until(
    "it fetches",
    () => server.requests.filter((each) => each.startsWith("POST")).length >= 3 && gitProcesses() > 0,
  );
  child.kill("SIGKILL");
  await child.exited;
  expect(gitProcesses()).toBeGreaterThan(0);
  server.behaviour = { kind: "git" };
  const { folder: mirror } = await mirrors().refresh(repository(), signal);
  await until("nothing is left", () => gitProcesses() === 0);
  git(mirror, "fsck", "--full");
  expect(readdirSync(join(mirror, "..")).filter((name) => name.startsWith(".new-"))).toEqual([]);
});

test("locks and halves that a killed git left in a mirror hinder nobody", async () => {
  const { folder: mirror } = await mirrors().refresh(repository(), signal);
  for (const path of ["HEAD.lock", "packed-refs.lock", "refs/heads/main.lock", "objects/pack/tmp_pack_x"])
    writeFileSync(join(mirror, path), "");
  writeFileSync(join(mirror, "objects/pack", `pack-${"0".repeat(40)}.pack`), "half");
  const tip = commit("second");
  const after = await mirrors().refresh(repository(), signal);
  expect([after.folder, headOf(mirror)]).toEqual([mirror, tip]);
  expect(readdirSync(join(mirror, "objects/pack")).filter((name) => /tmp|0000/.test(name))).toEqual([]);
});

test("a pack beyond the limit is refused, and the mirror is as it was", async () => {
  const house = mirrors({ limits: { maxPackBytes: 32_768 } });
  const { folder: mirror } = await house.refresh(repository(), signal);
  const before = headOf(mirror);
  commit("large", "main", 65_536);
  await expect(house.refresh(repository(), signal)).rejects.toMatchObject({ code: "too_large" });
  expect(headOf(mirror)).toBe(before);
  git(mirror, "fsck", "--full");
  expect((await mirrors().refresh(repository(), signal)).folder).toBe(mirror);
});

test("a commit is held after at most one refresh, and one that is nowhere is said not to be there", async () => {
  const house = mirrors();
  const first = git(work, "rev-parse", "HEAD");
  await house.holding(repository(), first, signal);
  server.requests = [];
  await house.holding(repository(), first, signal);
  expect(server.requests).toEqual([]);
  const second = commit("second");
  const { folder: mirror } = await house.holding(repository(), second, signal);
  expect(headOf(mirror)).toBe(second);
  await expect(house.holding(repository(), "1".repeat(40), signal)).rejects.toMatchObject({
    code: "not_found",
  });
});

function halve(path: string | undefined): void {
  if (path !== undefined) truncateSync(path, statSync(path).size >> 1);
}

/** Of git at work on the mirrors of this test. */
function gitProcesses(): number {
  const mirrors = join(folder, "mirrors");
  return commandLines().filter(({ line }) => line.includes(mirrors) && line.includes(" fetch ")).length;
}
