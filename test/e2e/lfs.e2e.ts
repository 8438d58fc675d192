import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PushRight } from "../../src/domain/git-server.ts";
import type { SandboxId, TaskId } from "../../src/domain/ids.ts";
import { parseRange } from "../../src/domain/ip-address.ts";
import type { GitGrant } from "../../src/domain/ports.ts";
import type { RemoteRepository } from "../../src/domain/repository.ts";
import type { SessionStart } from "../../src/domain/session.ts";
import { createGitServer } from "../../src/forge/git-server.ts";
import { createGitUpstream } from "../../src/forge/git-upstream.ts";
import { createHostedRepositories } from "../../src/forge/hosted.ts";
import { hostedLfsEndpoint } from "../../src/forge/lfs-hosted.ts";
import { openLfsStore } from "../../src/forge/lfs-store.ts";
import { createLfsUpstream } from "../../src/forge/lfs-upstream.ts";
import { openQuarantine } from "../../src/forge/quarantine.ts";
import { endpointAt } from "../../src/forge/repositories.ts";
import { type StandInServer, startStandIn } from "../../src/forge/stand-in-server.fixture.ts";
import { createUpstreamHttp } from "../../src/forge/upstream-http.ts";
import { createGitDoor } from "../../src/gateway/git/git-door.ts";
import { createCommandRunner } from "../../src/guest/commands.ts";
import { writeGitConfig } from "../../src/guest/git-config.ts";
import { createProcesses } from "../../src/guest/processes.ts";
import { cloneCheckout, publishWork } from "../../src/guest/workspace.ts";
import { createReach, vetAddresses } from "../../src/network.ts";
import { type LfsServer, oidOf, startLfsServer } from "../fixtures/lfs-server.ts";
import { executable, startAppliance } from "./appliance.ts";

/** The real git-lfs, with a sandbox's own git configuration, through the real door. */

setDefaultTimeout(600_000);

const sandbox = { id: "sbx_0000000000aaaaaaaaaa" as SandboxId, taskId: "tsk_0000000000aaaaaaaaaa" as TaskId };
const token = "scoped-token-of-this-sandbox";
const password = "the-real-one-of-the-forge";
const authorization = `Basic ${Buffer.from(`x:${password}`).toString("base64")}`;
const own = "claude/fix-1";
const remoteName = "forge.example/acme/demo";
const ownBranch: PushRight = { kind: "branch", branch: own, force: false, delete: false };
const size = 20 * 1024 ** 2;

let folder: string;
let forge: StandInServer;
let lfs: LfsServer;
let door: Server;
let right: PushRight = ownBranch;
const refusals: string[] = [];
const logged: string[] = [];
const commands = createCommandRunner(createProcesses());

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lfs-e2e-"));
  const record = (message: string, fields?: object) =>
    void logged.push(`${message} ${JSON.stringify(fields)}`);
  const log = { info: record, warn: record, error: record };
  const hosted = createHostedRepositories({ folder: join(folder, "repositories"), log, now: Date.now });
  const first = {
    ...{ branch: "main", message: "First", author: { name: "Ann", email: "ann@example.org" } },
    files: [{ path: ".gitattributes", content: "*.bin filter=lfs diff=lfs merge=lfs -text\n" }],
  };
  for (const name of ["demo", "remote"]) {
    await hosted.create(name);
    await hosted.commitFiles(name, first);
  }
  forge = await startStandIn({
    folder: join(folder, "forge"),
    folderOf: (path) => (path === "acme/demo" ? hosted.pathOf("remote") : undefined),
  });
  lfs = await startLfsServer({ authorization, storeHost: "objects.example" });
  forge.instead = lfs.handle;

  const http = createUpstreamHttp();
  const access = { authorizationFor: async () => authorization, refused() {} };
  const upstream = createGitUpstream({
    ...{ http, access, log },
    quarantine: await openQuarantine({ folder: join(folder, "quarantine"), maxPackBytes: 2 ** 22 }),
    base: { folderWith: async () => hosted.pathOf("remote") },
  });
  const loopback = parseRange("127.0.0.1");
  if (!loopback.ok) throw new Error("no range");
  const large = createLfsUpstream({
    ...{ http, access, log, now: Date.now },
    newTicket: () => randomBytes(32).toString("base64url"),
    reach: createReach({
      whyNot: vetAddresses({ allowedRanges: [loopback.value], ownPort: () => 1, now: Date.now }),
      proxyResolves: false,
      lookup: async (name) => (name === "objects.example" ? ["127.0.0.1"] : ["127.0.0.2"]),
    }),
  });
  const remote: RemoteRepository = {
    ...{ kind: "remote", name: remoteName, forge: "forge", path: "acme/demo", defaultBranch: "main" },
    ...{ cloneUrl: `${forge.origin}/acme/demo.git`, webUrl: "", createdAt: 0 },
    push: { force: false, delete: false },
  };
  const git = await createGitServer({ folder: join(folder, "git"), log });
  const store = await openLfsStore({ folder: join(folder, "lfs"), reserveBytes: 0 });
  const handle = createGitDoor({
    log,
    tokens: { tokenFor: () => token, matches: (_id, _purpose, given) => given === token },
    port: {
      grantFor(_id, name): GitGrant | undefined {
        if (name === remoteName) {
          return { name, right, endpoint: upstream.endpointOf(remote), lfs: large.endpointOf(remote) };
        }
        if (name !== "demo") return undefined;
        const endpoint = endpointAt(git, hosted.pathOf(name));
        return { name, right, endpoint, lfs: hostedLfsEndpoint(store, name) };
      },
      refused: (_id, _repository, ref, reason) => void refusals.push(`${ref}: ${reason}`),
    },
  });
  door = createServer((request, response) => {
    void handle(sandbox, request, response, (request.url ?? "").slice("/git".length));
  });
  await new Promise<void>((resolve) => door.listen(0, "127.0.0.1", resolve));
  await sandboxConfig();
});

afterEach(() => {
  right = ownBranch;
  lfs.store = "good";
  refusals.splice(0);
});

afterAll(async () => {
  door.closeAllConnections();
  door.close();
  await forge.close();
  await lfs.close();
  await rm(folder, { recursive: true, force: true });
});

/** As the guest writes it, behind what Debian's package of git-lfs leaves in an image. */
async function sandboxConfig(): Promise<void> {
  const path = join(folder, "gitconfig");
  const installed = await run(folder, "git", "lfs", "install", "--skip-repo", "--system");
  expect(installed.code).toBe(0);
  const start: SessionStart = {
    ...{ sandboxId: sandbox.id, taskId: sandbox.taskId, acked: 0 },
    repositories: [
      { name: remoteName, url: "https://forge.example/acme/demo.git", baseBranch: "main", workBranch: own },
      { name: "demo", url: "http://appliance/git/demo.git", baseBranch: "main", workBranch: own },
    ],
    author: { name: "Ada", email: "ada@example.org" },
    ...{ trailers: [], variables: {}, setupScript: "" },
    agent: { kind: "claude", model: "", sessionId: "" },
    tokens: { model: "m", git: token },
  };
  const { port } = door.address() as AddressInfo;
  writeGitConfig(path, start, { base: `http://127.0.0.1:${port}/git` });
}

const environment = () => ({
  ...{ PATH: "/usr/local/bin:/usr/bin:/bin", HOME: folder, GIT_TERMINAL_PROMPT: "0" },
  GIT_CONFIG_SYSTEM: join(folder, "gitconfig"),
});

async function run(cwd: string, ...argv: string[]): Promise<{ code: number; text: string }> {
  const trace = { GIT_TRACE: "1", GIT_CURL_VERBOSE: "1", GIT_TRANSFER_TRACE: "1" };
  const child = Bun.spawn(argv, {
    cwd,
    env: { ...environment(), ...trace },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, text: out + err };
}

let clones = 0;
async function clone(url: string, ...more: string[]): Promise<{ path: string; text: string; code: number }> {
  const path = join(folder, `clone-${++clones}`);
  return { path, ...(await run(folder, "git", "clone", ...more, url, path)) };
}

async function commitLarge(path: string, bytes: Uint8Array, name = "large.bin"): Promise<void> {
  await Bun.write(join(path, name), bytes);
  expect((await run(path, "git", "add", ".")).code).toBe(0);
  expect((await run(path, "git", "commit", "-qm", "Large")).code).toBe(0);
}

function expectNothingReal(...texts: string[]): void {
  for (const secret of [...lfs.secrets, password, authorization.slice("Basic ".length)]) {
    for (const text of texts) expect(text.includes(secret)).toBe(false);
  }
}

function storedAt(data: string, repository: string, bytes: Uint8Array): string {
  const oid = oidOf(bytes);
  return join(data, "lfs", `${repository}.git`, oid.slice(0, 2), oid.slice(2, 4), oid);
}

const remoteUrl = "https://forge.example/acme/demo";

test("20 MB go to a forge's object store and come back, and nothing of what the forge said is seen inside", async () => {
  const bytes = randomBytes(size);
  const { path, text } = await clone(remoteUrl);
  await commitLarge(path, bytes);
  const pushed = await run(path, "git", "push", "origin", `HEAD:${own}`);
  expect([pushed.code, pushed.text]).toEqual([0, expect.stringContaining(`HEAD -> ${own}`)]);
  expect(pushed.text).not.toContain("Locking support detected");
  expect(lfs.asked.map((each) => each.path)).not.toContain("locks/verify");
  expect(Buffer.compare(lfs.objects.get(oidOf(bytes)) ?? Buffer.alloc(0), bytes)).toBe(0);
  expect(lfs.stored.map(({ line }) => line.split("/")[1])).toEqual(["put", "verify"]);
  const batches = lfs.asked.filter((each) => each.path === "objects/batch").map(({ body }) => body);
  expect(batches.at(-1)).toMatchObject({ transfers: ["basic"], ref: { name: `refs/heads/${own}` } });

  for (const store of ["good", "moved"] as const) {
    lfs.store = store;
    const back = await clone(remoteUrl, "--branch", own);
    expect(back.code).toBe(0);
    expect(Buffer.compare(await readFile(join(back.path, "large.bin")), bytes)).toBe(0);
    expect(back.text).toMatch(/> GET \/git\/\S+\/info\/lfs\/objects\//);
    expectNothingReal(back.text);
    expect(back.text).not.toContain("objects.example");
  }
  expect(lfs.stored.every(({ headers }) => headers.authorization === undefined)).toBe(true);
  expectNothingReal(text, pushed.text, logged.join("\n"));
});

test("the work of a task is pushed with its large files, hooks or not", async () => {
  const bytes = randomBytes(100_000);
  const emit = async () => {};
  const options = { commands, env: environment(), emit, trailers: [], signal: new AbortController().signal };
  for (const [name, url] of [
    ["demo", "http://appliance/git/demo.git"],
    [remoteName, remoteUrl],
  ] as const) {
    const place = {
      name,
      url,
      baseBranch: "main",
      workBranch: own,
      folder: join(folder, `task-${++clones}`),
    };
    await cloneCheckout(place, options, emit);
    await Bun.write(join(place.folder, "work.bin"), bytes);
    expect((await publishWork(place, options, emit, nowhere)).kind).toBe("pushed");
    const back = await clone(url, "--branch", own);
    expect(Buffer.compare(await readFile(join(back.path, "work.bin")), bytes)).toBe(0);
  }
});

test("a hosted repository keeps large files, and tells nobody of them twice", async () => {
  const bytes = randomBytes(size);
  const { path } = await clone("http://appliance/git/demo.git", "--branch", own);
  await commitLarge(path, bytes);
  const pushed = await run(path, "git", "push", "origin", `HEAD:${own}`);
  expect([pushed.code, pushed.text]).toEqual([0, expect.stringContaining(`HEAD -> ${own}`)]);
  const again = await run(path, "git", "lfs", "push", "--all", "origin", own);
  expect([again.code, again.text]).toEqual([0, expect.not.stringContaining("> PUT ")]);
  const back = await clone("http://appliance/git/demo.git", "--branch", own);
  expect(Buffer.compare(await readFile(join(back.path, "large.bin")), bytes)).toBe(0);
});

test("people reach large files of the appliance's repositories with their token", async () => {
  const data = join(folder, "data");
  const appliance = await startAppliance({ engine: join(folder, "no-engine.sock"), dataFolder: data });
  try {
    const added = Bun.spawn([executable, "repo", "add", "files", "--data", data], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    expect(await added.exited).toBe(0);
    const url = `${appliance.url.replace("://", `://ann:${appliance.token}@`)}/git/files.git`;
    const mine = await clone(url);
    await Bun.write(join(mine.path, ".gitattributes"), "*.bin filter=lfs diff=lfs merge=lfs -text\n");
    const bytes = randomBytes(size);
    await commitLarge(mine.path, bytes);
    const pushed = await run(mine.path, "git", "push", "origin", "HEAD:main");
    expect([pushed.code, pushed.text]).toEqual([0, expect.stringContaining("HEAD -> main")]);
    expect(await readFile(storedAt(data, "files", bytes))).toEqual(bytes);
    const back = await clone(url, "--branch", "main");
    expect(Buffer.compare(await readFile(join(back.path, "large.bin")), bytes)).toBe(0);
    const nobody = await run(folder, "git", "ls-remote", `${appliance.url}/git/files.git`);
    expect(nobody.code).not.toBe(0);
    const { status } = await fetch(`${appliance.url}/git/files.git/info/lfs/objects/${oidOf(bytes)}`);
    expect(status).toBe(401);
  } finally {
    await appliance.stop();
  }
});

test("the relay passes LFS on as it is, and a task's rules hold there too", async () => {
  const real = lfs.storeOrigin;
  lfs.storeOrigin = real.replace("objects.example", "127.0.0.1");
  for (const [options, may] of [
    [["--policy", "allow-all"], true],
    [["--branch", "claude/other"], false],
  ] as const) {
    const argv = ["git-proxy", "--listen", "127.0.0.1:0", "--upstream", forge.origin, ...options];
    const relay = Bun.spawn([executable, ...argv], { cwd: folder, stdio: ["ignore", "pipe", "ignore"] });
    try {
      let url = "";
      for await (const text of relay.stdout.pipeThrough(new TextDecoderStream())) {
        url = /Listening at (\S+)/.exec(text)?.[1] ?? "";
        if (url !== "") break;
      }
      const { path, code } = await clone(`${url.replace("://", `://x:${password}@`)}/acme/demo.git`);
      expect(code).toBe(0);
      const bytes = randomBytes(100_000);
      await commitLarge(path, bytes, "relayed.bin");
      const pushed = await run(path, "git", "lfs", "push", "origin", "main");
      expect([pushed.code === 0, lfs.objects.has(oidOf(bytes))]).toEqual([may, may]);
      if (!may) expect(pushed.text).toContain("only refs/heads/claude/other is permitted");
      else expect((await run(path, "git", "lfs", "locks")).text).toContain("locked.bin");
    } finally {
      relay.kill("SIGTERM");
      expect(await relay.exited).toBe(0);
    }
  }
  lfs.storeOrigin = real;
});

test("a grant to read refuses an upload in words, and so does another branch", async () => {
  for (const [url, name] of [
    [remoteUrl, "forge"],
    ["http://appliance/git/demo.git", "hosted"],
  ] as const) {
    const before = lfs.stored.length;
    const { path } = await clone(url);
    await commitLarge(path, randomBytes(1000), `${name}.bin`);
    right = { kind: "none" };
    const pushed = await run(path, "git", "lfs", "push", "origin", "main");
    expect([pushed.code === 0, pushed.text]).toEqual([false, expect.stringContaining("may only be read")]);
    right = ownBranch;
    const elsewhere = await run(path, "git", "lfs", "push", "origin", "main");
    expect(elsewhere.text).toContain(`only refs/heads/${own} is permitted`);
    expect(lfs.stored.length).toBe(before);
  }
  expect(refusals).toContain(`refs/heads/main: only refs/heads/${own} is permitted`);
});

test("locks are shown, and made by people alone", async () => {
  const { path } = await clone(remoteUrl);
  expect((await run(path, "git", "lfs", "locks")).text).toContain("locked.bin");
  const locked = await run(path, "git", "lfs", "lock", "x.bin");
  expect([locked.code === 0, locked.text]).toEqual([
    false,
    expect.stringContaining("makes and removes no LFS locks"),
  ]);
  const asked = await run(path, "git", "lfs", "locks", "--verify");
  expect([asked.code, asked.text]).toEqual([0, expect.stringContaining("Bob")]);
});

test("a store that fails is told without its words, and an address of this machine's network is not reached", async () => {
  const bytes = randomBytes(2000);
  lfs.objects.set(oidOf(bytes), bytes);
  const { path } = await clone(remoteUrl);
  const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${oidOf(bytes)}\nsize ${bytes.length}\n`;
  await Bun.write(join(path, "p.txt"), pointer);
  const fetchIt = () => run(path, "sh", "-c", `git -c lfs.transfer.maxretries=1 lfs smudge < p.txt`);
  lfs.store = "refuses";
  const refused = await fetchIt();
  expect(refused.text).toContain("did not hand out the object");
  lfs.store = "short";
  const short = await fetchIt();
  expect(short.code).not.toBe(0);
  lfs.store = "good";
  const real = lfs.storeOrigin;
  lfs.storeOrigin = real.replace("objects.example", "inside.example");
  const inside = await fetchIt();
  expect(inside.text).toContain("which the appliance does not reach: loopback");
  lfs.storeOrigin = real;
  expect((await fetchIt()).code).toBe(0);
  expectNothingReal(refused.text, short.text, logged.join("\n"));
});

const nowhere = { url: "http://127.0.0.1:1/none", hint: "" };
