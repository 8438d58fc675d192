import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { chmod, mkdir, mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deflateSync } from "node:zlib";
import { until } from "../../test/until.ts";
import { type GitRequest, type GitServer, parseGitTarget } from "../domain/git-server.ts";
import { handleGitForPeople } from "./git-for-people.ts";
import { createGitServer } from "./git-server.ts";
import { createHostedRepositories, type HostedRepositories } from "./hosted.ts";

// Real git on a busy machine takes its time.
setDefaultTimeout(180_000);

let folder: string;
let bare: string;
let hosted: HostedRepositories;
let git: GitServer;
let tip: string;
let people: Bun.Server<undefined>;
const quiet = { info() {}, warn() {}, error() {} };
const zero = "0".repeat(40);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "git-server-"));
  hosted = createHostedRepositories({ folder: join(folder, "repositories"), log: quiet, now: Date.now });
  await hosted.create("demo");
  bare = await hosted.folderOf("demo");
  const author = { name: "Ann", email: "ann@example.org" };
  const files = [{ path: "README.md", content: "hello\n" }];
  tip = await hosted.commitFiles("demo", { branch: "main", message: "First", author, files });
  git = await createGitServer({ folder: join(folder, "server"), log: quiet });
  people = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 0,
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    async fetch(request) {
      const { pathname, search } = new URL(request.url);
      const target = parseGitTarget(pathname.slice("/git".length) + search);
      if (target === undefined) return new Response("No such repository.\n", { status: 404 });
      return handleGitForPeople({ git, request, target, folder: await hosted.folderOf(target.repository) });
    },
  });
});

afterAll(async () => {
  await people.stop(true);
  await rm(folder, { recursive: true, force: true });
});

function pkt(text: string): string {
  return (text.length + 4).toString(16).padStart(4, "0") + text;
}
/** A pack of no objects, for commits that are there already. */
function emptyPack(): Buffer {
  const head = Buffer.from("5041434b0000000200000000", "hex");
  return Buffer.concat([head, new Bun.CryptoHasher("sha1").update(head).digest()]);
}
const textOf = async (body: AsyncIterable<Uint8Array>) =>
  Buffer.concat(await Array.fromAsync(body)).toString();
async function* once(...chunks: (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield Buffer.from(chunk);
}
/** A task's push straight to git, as if the door's reader of commands were not there. */
async function pushPastTheDoor(...refs: { ref: string; from?: string; to?: string }[]): Promise<string> {
  const lines = refs.map(({ ref, from = zero, to = tip }) => pkt(`${from} ${to} ${ref}\0 report-status\n`));
  const answer = await git.serve(exchange("git-receive-pack", once(`${lines.join("")}0000`, emptyPack())));
  return textOf(answer.body);
}
function exchange(service: GitRequest["service"], body: AsyncIterable<Uint8Array>): GitRequest {
  return {
    folder: bare,
    service,
    body,
    headers: {
      contentType: `application/x-${service}-request`,
      contentEncoding: undefined,
      gitProtocol: undefined,
    },
    right: { kind: "branch", branch: "claude/x", force: false, delete: false },
    signal: new AbortController().signal,
  };
}

test("git itself refuses a task's push to another ref, should the door ever let it through", async () => {
  for (const ref of ["refs/heads/evil", "refs/tags/v1", "refs/heads/claude/x/y", "refs/heads/claude/X"]) {
    expect(await pushPastTheDoor({ ref })).toContain(`ng ${ref} pre-receive hook declined`);
  }
  const mixed = await pushPastTheDoor({ ref: "refs/heads/claude/x" }, { ref: "refs/heads/evil" });
  expect(mixed).toContain("ng refs/heads/claude/x pre-receive hook declined");
  expect((await hosted.branches("demo")).map(({ name }) => name)).toEqual(["main"]);
});

test("git itself takes new snapshots alone where that is the right, should the door ever let more through", async () => {
  const push = async (ref: string, from = zero, to = tip) => {
    const request = exchange(
      "git-receive-pack",
      once(`${pkt(`${from} ${to} ${ref}\0 report-status\n`)}0000`, emptyPack()),
    );
    const answer = await git.serve({ ...request, right: { kind: "snapshots" } });
    let said = "";
    for await (const chunk of answer.body) said += Buffer.from(chunk).toString();
    return said;
  };
  const below = "refs/ccw/snapshots/";
  for (const ref of ["refs/heads/x", "refs/tags/v1", `${below}a/b`, `${below}a-b`, "refs/ccw/snapshot"]) {
    expect(await push(ref)).toContain("pre-receive hook declined");
  }
  expect(await push(`${below}prm0A9`)).toContain(`ok ${below}prm0A9`);
  expect(await push(`${below}prm0A9`, tip, tip)).toContain(`ng ${below}prm0A9`);
  expect(await push(`${below}prm0A9`, tip, zero)).toContain(`ng ${below}prm0A9`);
});

test("git itself lets a task make its branch, and refuses to delete it", async () => {
  const ref = "refs/heads/claude/x";
  expect(await pushPastTheDoor({ ref })).toContain(`ok ${ref}`);
  expect(await pushPastTheDoor({ ref, from: tip, to: zero })).toContain(`ng ${ref} deletion prohibited`);
});

test("a task has git at work on one push of its branch, and not on as many as it likes to send", async () => {
  const leaving = new AbortController();
  const begun = Promise.withResolvers<void>();
  async function* stalled() {
    yield Buffer.from(`${pkt(`${tip} ${tip} refs/heads/claude/x\0 report-status\n`)}0000PACK`);
    begun.resolve();
    await new Promise((resolve) => leaving.signal.addEventListener("abort", resolve));
  }
  const first = git.serve({ ...exchange("git-receive-pack", stalled()), signal: leaving.signal });
  await begun.promise;
  const answer = await git.serve(exchange("git-receive-pack", once("0000", emptyPack())));
  expect([answer.status, await textOf(answer.body)]).toEqual([
    409,
    expect.stringContaining("another push of this branch is under way"),
  ]);
  leaving.abort();
  await (await first).body[Symbol.asyncIterator]().return?.();
  expect(await pushPastTheDoor({ ref: "refs/heads/claude/y" })).toContain("pre-receive hook declined");
});

test("ATTACKS 58: hooks and settings that lie in a repository do not run or count", async () => {
  const marker = join(folder, "hook-ran");
  await mkdir(join(bare, "hooks"), { recursive: true });
  for (const name of ["pre-receive", "update", "post-receive", "post-update", "reference-transaction"]) {
    const hook = join(bare, "hooks", name);
    await Bun.write(hook, `#!/bin/sh\ntouch ${marker}\n`);
    await chmod(hook, 0o755);
  }
  for (const [key, value] of [
    ["core.hooksPath", join(bare, "hooks")],
    ["uploadpack.packObjectsHook", `touch ${marker};`],
    ["receive.denyNonFastForwards", "false"],
    ["receive.fsckObjects", "false"],
  ] as const) {
    await Bun.spawn(["git", "config", "--file", join(bare, "config"), key, value]).exited;
  }
  const work = await cloneForPeople();
  expect((await run(work, "push", "-q", "origin", "HEAD:hooked")).exitCode).toBe(0);
  expect(await pushPastTheDoor({ ref: "refs/heads/claude/x", from: tip })).toContain("ok");
  expect(await Bun.file(marker).exists()).toBe(false);
});

test("people push any branch, rewrite it and delete it", async () => {
  const path = await cloneForPeople();
  await run(path, "commit", "--allow-empty", "-qm", "One");
  expect((await run(path, "push", "-q", "origin", "HEAD:feature", "HEAD:refs/tags/v1")).exitCode).toBe(0);
  await run(path, "commit", "--amend", "--allow-empty", "-qm", "Other");
  expect((await run(path, "push", "-q", "--force", "origin", "HEAD:feature")).exitCode).toBe(0);
  expect(await hosted.tipOf("demo", "feature")).toBe((await run(path, "rev-parse", "HEAD")).out);
  expect((await run(path, "push", "-q", "origin", ":feature")).exitCode).toBe(0);
  expect(await hosted.branchExists("demo", "feature")).toBe(false);
});

test("people push 4 MB and get it back", async () => {
  const path = await cloneForPeople();
  const bytes = Buffer.concat(
    Array.from({ length: 64 }, () => crypto.getRandomValues(new Uint8Array(65536))),
  );
  await Bun.write(join(path, "big"), bytes);
  await run(path, "add", ".");
  await run(path, "commit", "-qm", "Big");
  expect((await run(path, "push", "-q", "origin", "HEAD:big")).err).toBe("");
  const back = await cloneForPeople("--branch=big");
  expect(Buffer.from(await Bun.file(join(back, "big")).arrayBuffer()).equals(bytes)).toBe(true);
});

test("an empty repository is cloned and takes its first commit", async () => {
  await hosted.create("team/empty");
  const path = join(folder, "empty");
  await run(folder, "clone", "-q", new URL("/git/team/empty.git", people.url).href, path);
  await run(path, "commit", "--allow-empty", "-qm", "First");
  expect((await run(path, "push", "-q", "origin", "HEAD:main")).err).toBe("");
  expect(await hosted.tipOf("team/empty", "main")).toBe((await run(path, "rev-parse", "HEAD")).out);
});

test("a method that fits no request is 405 for people too", async () => {
  const answer = await fetch(new URL("/git/demo.git/git-upload-pack", people.url));
  expect([answer.status, answer.headers.get("allow")]).toEqual([405, "POST"]);
});

test("a client that sends nothing more is given up, and its quarantine is removed", async () => {
  const stalls = (async function* () {
    yield Buffer.from(`${pkt(`${zero} ${tip} refs/heads/claude/x\0 report-status\n`)}0000PACK`);
    await Bun.sleep(10_000);
  })();
  const impatient = await createGitServer({ folder: join(folder, "server"), log: quiet, idleMs: 300 });
  const answer = await impatient.serve(exchange("git-receive-pack", stalls));
  expect(answer.status).not.toBe(200);
  const left = () =>
    Array.fromAsync(new Bun.Glob("tmp_objdir*").scan({ cwd: join(bare, "objects"), onlyFiles: false }));
  await until("the quarantine is gone", async () => (await left()).length === 0);
});

test("ATTACKS 52: a gigabyte in a megabyte of gzip is cut off at 10 MiB, in bounded memory", async () => {
  const zip = Bun.gzipSync(Buffer.alloc(64 * 1024 ** 2, pkt("have ".padEnd(45, "1"))));
  const gzip = async function* () {
    yield Bun.gzipSync(`${pkt(`want ${tip}\n`)}0000`);
    for (let times = 0; times < 16; times++) yield zip;
  };
  Bun.gc(true);
  const before = process.memoryUsage.rss();
  const request = exchange("git-upload-pack", gzip());
  const answer = await git.serve({ ...request, headers: { ...request.headers, contentEncoding: "gzip" } });
  const text = await textOf(answer.body).catch((error: unknown) => `cut: ${error}`);
  expect(`${answer.status} ${text}`).toMatch(/10 MiB/);
  expect(process.memoryUsage.rss() - before).toBeLessThan(150 * 1024 ** 2);
});

test("ATTACKS 58: a small pack whose deltas grow to a gigabyte is refused before the memory is taken", async () => {
  const base = Buffer.alloc(0xffffff);
  const id = new Bun.CryptoHasher("sha1").update(`blob ${base.length}\0`).update(base).digest();
  const copies = 64;
  const copyAll = Buffer.from("f0ffffff", "hex"); // from offset 0, 0xffffff bytes
  const delta = Buffer.concat([
    deltaSize(base.length),
    deltaSize(base.length * copies),
    ...Array.from({ length: copies }, () => copyAll),
  ]);
  const head = Buffer.from("5041434b0000000200000002", "hex");
  const objects = [
    objectHead(3, base.length),
    deflateSync(base),
    objectHead(7, delta.length),
    id,
    deflateSync(delta),
  ];
  const body = Buffer.concat([head, ...objects]);
  const pack = Buffer.concat([body, new Bun.CryptoHasher("sha1").update(body).digest()]);
  expect(pack.length).toBeLessThan(100_000);
  const command = pkt(`${zero} ${"1".repeat(40)} refs/heads/claude/bomb\0 report-status\n`);
  const bomb = { ...exchange("git-receive-pack", once(`${command}0000`, pack)) };
  const answer = await git.serve({
    ...bomb,
    right: { kind: "branch", branch: "claude/bomb", force: false, delete: false },
  });
  expect(await textOf(answer.body)).toContain("ng refs/heads/claude/bomb unpacker error");
});

/** An object's type and size, and a delta's sizes, as gitformat-pack(5) writes them. */
function objectHead(type: number, size: number): Buffer {
  const first = (type << 4) | (size & 15);
  return size < 16 ? Buffer.of(first) : Buffer.concat([Buffer.of(first | 128), deltaSize(size >> 4)]);
}
function deltaSize(size: number): Buffer {
  return size < 128 ? Buffer.of(size) : Buffer.concat([Buffer.of((size & 127) | 128), deltaSize(size >> 7)]);
}

let clones = 0;
async function cloneForPeople(...options: string[]): Promise<string> {
  const path = join(folder, `clone-${++clones}`);
  const url = new URL("/git/demo.git", people.url).href;
  const { err } = await run(folder, "clone", "-q", ...options, url, path);
  await stat(path).catch(() => {
    throw new Error(err);
  });
  return path;
}
async function run(cwd: string, ...args: string[]): Promise<{ exitCode: number; out: string; err: string }> {
  const child = Bun.spawn(["git", "-c", "user.name=Bea", "-c", "user.email=bea@example.org", ...args], {
    cwd,
    env: { PATH: "/usr/local/bin:/usr/bin:/bin", HOME: folder, GIT_CONFIG_NOSYSTEM: "1" },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { exitCode: await child.exited, out: out.trim(), err };
}
