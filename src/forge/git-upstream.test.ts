import { afterAll, beforeAll, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../../test/until.ts";
import { CcwError } from "../domain/errors.ts";
import type { PushRight } from "../domain/git-server.ts";
import { flushPkt, pktLine } from "../domain/pkt-line.ts";
import { createGitRelayServer } from "../gateway/git/git-relay-server.ts";
import { testCertificate, testKey } from "../gateway/model/tls.fixture.ts";
import { createGitUpstream, type GitUpstream } from "./git-upstream.ts";
import { lookUpRef } from "./ls-refs.ts";
import { openQuarantine } from "./quarantine.ts";
import { type StandInServer, startStandIn } from "./stand-in-server.fixture.ts";
import { createUpstreamHttp } from "./upstream-http.ts";

// Real git on a busy machine takes its time.
setDefaultTimeout(180_000);

const own = "refs/heads/claude/x";
const secret = "Basic c2VjcmV0OnNlY3JldA==";

let folder: string;
let standIn: StandInServer;
let upstream: GitUpstream;
/** The door's own code in front of it, open to git on this machine. */
let door: string;
let right: PushRight;
let token: () => Promise<string | undefined>;
let refusedTokens = 0;
let logged: string[] = [];
let beforeFetch: () => Promise<void>;
const closers: (() => unknown)[] = [];
const record = (message: string, fields?: object) => void logged.push(`${message} ${JSON.stringify(fields)}`);
const log = { info: record, warn: record, error: record };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "git-upstream-"));
  standIn = await startStandIn({
    folder: join(folder, "server"),
    folderOf: (path) => (/^acme\/(demo|renamed|deep)$/.test(path) ? bareOf(path) : undefined),
  });
  closers.push(() => standIn.close());
  for (const format of ["sha1", "sha256"]) {
    const bare = format === "sha1" ? join(folder, "demo.git") : join(folder, "deep.git");
    await run(folder, "init", "-q", "--bare", "-b", "main", `--object-format=${format}`, bare);
    const work = join(folder, `first-${format}`);
    await run(folder, "init", "-q", "-b", "main", `--object-format=${format}`, work);
    await commit(work, "first");
    await run(work, "push", "-q", bare, "main");
  }
  await mkdir(join(folder, "quarantine/push-left"), { recursive: true });
  upstream = createGitUpstream({
    http: createUpstreamHttp({ connectMs: 30_000 }),
    access: { authorizationFor: () => token(), refused: () => void refusedTokens++ },
    log,
    maxTaskPackBytes: 4 * 1024 ** 2,
    quarantine: await openQuarantine({ folder: join(folder, "quarantine"), maxPackBytes: 4 * 1024 ** 2 }),
    base: {
      async folderWith(name) {
        await beforeFetch();
        const mirror = join(folder, `mirror-${name.split("/")[2]}.git`);
        await run(folder, "clone", "-q", "--mirror", bareOf(name.slice("forge/".length)), mirror);
        await run(mirror, "fetch", "-q");
        return mirror;
      },
    },
  });
  const server = createGitRelayServer({
    grantOf(path) {
      const remote = repository(path.slice(1).replace(/\.git$/, ""));
      return { name: remote.name, right, endpoint: upstream.endpointOf(remote) };
    },
    lfs: () => Promise.reject(new Error("not asked")),
    log,
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(
    () => server.closeAllConnections(),
    () => server.close(),
  );
  const address = server.address();
  door = `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`;
});

afterAll(async () => {
  for (const close of closers) close();
  await rm(folder, { recursive: true, force: true });
});

beforeEach(async () => {
  right = { kind: "branch", branch: "claude/x", force: false, delete: false };
  token = async () => secret;
  refusedTokens = 0;
  logged = [];
  beforeFetch = async () => undefined;
  standIn.instead = () => false;
  standIn.requests.splice(0);
  for (const bare of ["demo.git", "deep.git"]) await run(join(folder, bare), "update-ref", "-d", own);
});

const bareOf = (path: string) => join(folder, `${path === "acme/deep" ? "deep" : "demo"}.git`);

function repository(path: string, origin = standIn.origin) {
  return {
    ...{
      kind: "remote" as const,
      name: `forge/${path}`,
      forge: "work",
      path,
      defaultBranch: "main",
      createdAt: 0,
    },
    ...{ cloneUrl: `${origin}/${path}.git`, webUrl: "", push: { force: false, delete: false } },
  };
}

async function run(cwd: string, ...args: string[]): Promise<{ exitCode: number; out: string; err: string }> {
  const child = Bun.spawn(["git", "-c", "user.name=Bea", "-c", "user.email=bea@example.org", ...args], {
    cwd,
    env: {
      PATH: "/usr/local/bin:/usr/bin:/bin",
      HOME: folder,
      GIT_TERMINAL_PROMPT: "0",
      GIT_CONFIG_NOSYSTEM: "1",
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { exitCode: await child.exited, out: out.trim(), err };
}
let counter = 0;
async function clone(path = "acme/demo", ...options: string[]): Promise<string> {
  const target = join(folder, `clone-${++counter}`);
  const { exitCode, err } = await run(folder, "clone", "-q", ...options, `${door}/${path}.git`, target);
  if (exitCode !== 0) throw new Error(err);
  return target;
}
async function commit(path: string, text: string | Uint8Array): Promise<string> {
  await Bun.write(join(path, "work"), text);
  await run(path, "add", ".");
  await run(path, "commit", "-qm", "Work");
  return (await run(path, "rev-parse", "HEAD")).out;
}
const noise = (kib: number) =>
  Buffer.concat(Array.from({ length: kib / 64 }, () => crypto.getRandomValues(new Uint8Array(65536))));
const push = (path: string, ...args: string[]) => run(path, "push", ...args, "origin", `HEAD:${own}`);
const tipOf = async (bare = "demo.git") =>
  (await run(join(folder, bare), "rev-parse", "-q", "--verify", own)).out;
const pushes = () => standIn.requests.filter(({ line }) => line.endsWith("/git-receive-pack")).length;

/** The server answers every request that the pattern fits so, and the rest as git does. */
function instead(
  pattern: RegExp,
  answer: (response: ServerResponse, request: IncomingMessage) => void,
): void {
  standIn.instead = (request, response) => {
    if (!pattern.test(`${request.method} ${request.url}`)) return false;
    answer(response, request);
    return true;
  };
}
function status(code: number, headers: Record<string, string> = {}, body = "<html>a page</html>") {
  return (response: ServerResponse) => {
    response.writeHead(code, { "content-type": "text/html", ...headers });
    response.end(body);
  };
}

test("an own branch moves forward through the quarantine, which is empty afterwards", async () => {
  const path = await clone();
  await commit(path, "one");
  expect((await push(path)).exitCode).toBe(0);
  const second = await commit(path, noise(2048));
  expect((await push(path)).err).not.toContain("rejected");
  expect(await tipOf()).toBe(second);
  expect(await readdir(join(folder, "quarantine"))).toEqual([]);
});

test("a SHA-256 repository is cloned, and its branch made and moved forward", async () => {
  const path = await clone("acme/deep");
  await commit(path, "one");
  expect((await push(path)).exitCode).toBe(0);
  const second = await commit(path, "two");
  expect((await push(path)).exitCode).toBe(0);
  expect(await tipOf("deep.git")).toBe(second);
  expect(second).toHaveLength(64);
});

test("a shallow clone moves its branch forward", async () => {
  const path = await clone("acme/demo", "--depth=1");
  await commit(path, "one");
  expect((await push(path)).exitCode).toBe(0);
  const second = await commit(path, "two");
  expect((await push(path)).exitCode).toBe(0);
  expect(await tipOf()).toBe(second);
});

test("ATTACKS 53: a rewrite is refused before the server hears of it, unless force is allowed", async () => {
  const path = await clone();
  const first = await commit(path, "one");
  await push(path);
  await run(path, "commit", "-q", "--amend", "-m", "Rewritten");
  const before = pushes();
  const { err } = await push(path, "--force");
  expect(err).toContain("remote: Push refused: this push would rewrite the branch");
  expect(err).toContain("(non-fast-forward)");
  expect(await tipOf()).toBe(first);
  expect(pushes()).toBe(before);
  right = { kind: "branch", branch: "claude/x", force: true, delete: false };
  expect((await push(path, "--force")).exitCode).toBe(0);
  expect(await tipOf()).not.toBe(first);
});

test("ATTACKS 53: the own branch is deleted where that is allowed", async () => {
  const path = await clone();
  await commit(path, "one");
  await push(path);
  expect((await run(path, "push", "origin", `:${own}`)).err).toContain("a task may not delete a branch");
  right = { kind: "branch", branch: "claude/x", force: false, delete: true };
  expect((await run(path, "push", "origin", `:${own}`)).exitCode).toBe(0);
  expect(await tipOf()).toBe("");
});

test("a push that loses a race is told to fetch first, and nothing is overwritten", async () => {
  const path = await clone();
  await commit(path, "one");
  await push(path);
  const other = await clone("acme/demo", "--branch", "claude/x");
  const theirs = await commit(other, "theirs");
  await commit(path, "ours");
  // Between the list of refs and the push.
  instead(/^GET .*git-receive-pack$/, (response, request) => {
    standIn.instead = () => false;
    void run(other, "push", "-q", bareOf("acme/demo"), `HEAD:${own}`).then(() => {
      response.writeHead(307, { location: request.url ?? "" });
      response.end();
    });
  });
  const raced = (await push(path)).err;
  expect(raced).toMatch(/fetch first|rejected/);
  expect(await tipOf()).toBe(theirs);
});

test("a push that loses the race during the judgement is refused by the server, and that is passed on", async () => {
  const path = await clone();
  const first = await commit(path, "one");
  await push(path);
  await commit(path, "ours");
  beforeFetch = async () => void (await run(join(folder, "demo.git"), "update-ref", own, "main"));
  const { err, exitCode } = await push(path);
  expect(exitCode).toBe(1);
  expect(err).toContain("[remote rejected]");
  expect(await tipOf()).not.toBe(first);
});

test("ATTACKS 58: a bad pack for a branch that exists is refused in quarantine, with git's reason", async () => {
  const path = await clone();
  await commit(path, "one");
  await push(path);
  const before = pushes();
  const blob = (await run(path, "rev-parse", "HEAD:work")).out;
  await Bun.write(
    join(folder, "tree"),
    Buffer.concat([Buffer.from("100644 .git\0"), Buffer.from(blob, "hex")]),
  );
  const tree = (await run(path, "hash-object", "-w", "--literally", "-t", "tree", join(folder, "tree"))).out;
  const bad = (await run(path, "commit-tree", "-m", "bad", "-p", "HEAD", tree)).out;
  const { err } = await run(path, "push", "origin", `${bad}:${own}`);
  expect(err).toContain("hasDotgit");
  expect(err).not.toContain(folder);
  await commit(path, noise(6 * 1024));
  expect((await push(path)).err).toContain("exceeds maximum allowed size");
  expect(pushes()).toBe(before);
  expect(await readdir(join(folder, "quarantine"))).toEqual([]);
});

test("a mirror that cannot be had is told in git's output, and the server hears nothing", async () => {
  const path = await clone();
  await commit(path, "one");
  await push(path);
  await commit(path, "two");
  const before = pushes();
  beforeFetch = () =>
    Promise.reject(new CcwError("no_space", "The mirror's disk is full.", "Free some space."));
  const { err } = await push(path);
  expect(err).toContain("remote: The mirror's disk is full.");
  expect(err).toContain("no space left on the appliance");
  expect(pushes()).toBe(before);
});

for (const [code, headers, words] of [
  [401, {}, "does not accept the appliance's credential"],
  [403, {}, "does not let the appliance read"],
  [404, {}, "has no repository forge/acme/demo"],
  [429, { "retry-after": "7" }, "Try again in 7 s."],
  [500, {}, "could not answer (500)"],
  [503, { "retry-after": "7" }, "could not answer (503)"],
  [200, {}, "did not answer as git's smart HTTP protocol has it, but with text/html"],
  [302, { location: "https://elsewhere.example/login?secret=1" }, "on to https://elsewhere.example"],
  [418, {}, "answered with 418"],
] as const) {
  test(`a forge that answers ${code} is told in git's own output, with no word of the credential`, async () => {
    instead(/info\/refs/, status(code, headers));
    const { err } = await run(folder, "ls-remote", `${door}/acme/demo.git`);
    expect(err).toContain("remote: ");
    expect(err).toContain(words);
    expect(err + logged.join()).not.toContain("c2Vj");
    expect(err).not.toContain("Username");
    expect(refusedTokens).toBe(code === 401 ? 1 : 0);
  });

  test(`a forge that answers ${code} to a fetch and to a push is told in git's own output`, async () => {
    const path = await clone();
    await commit(path, "one");
    instead(/^POST .*git-receive-pack/, status(code, headers));
    const pushed = await push(path);
    expect(pushed.exitCode).toBe(1);
    expect(pushed.err).toContain("remote: ");
    expect(pushed.err).toContain("[remote rejected]");
    expect(pushed.err).not.toContain("Everything up-to-date");
    instead(/^POST .*git-upload-pack/, status(code, headers));
    const fetched = await run(path, "fetch", "origin");
    expect(fetched.err).toContain("fatal: remote error: ");
    expect(fetched.err + pushed.err + logged.join()).not.toContain("c2Vj");
  });
}

test("half a list of refs, and a server that is not there, are told in git's own output", async () => {
  instead(/info\/refs/, (response) => {
    response.writeHead(200, {
      "content-type": "application/x-git-upload-pack-advertisement",
      "content-length": "500",
    });
    response.write("000eversion 2\n");
    setTimeout(() => response.destroy(), 50);
  });
  const half = await run(folder, "ls-remote", `${door}/acme/demo.git`);
  expect(half.err).toContain("broke off in the middle of its answer");
  const nowhere = upstream.endpointOf(repository("acme/demo", "http://127.0.0.1:1"));
  const answer = await nowhere.serve(refsCall());
  expect(answer.status).toBe(502);
  expect(Buffer.concat(await Array.fromAsync(answer.body)).toString()).toMatch(
    /127\.0\.0\.1:1 cannot be reached/,
  );
  token = () => Promise.reject(new CcwError("forbidden", "The app was removed.", "Install it again."));
  expect((await run(folder, "ls-remote", `${door}/acme/demo.git`)).err).toContain(
    "remote: Install it again.",
  );
});

function refsCall(signal = new AbortController().signal) {
  return {
    ...({ service: "git-upload-pack", body: undefined, right: { kind: "none" }, signal } as const),
    headers: { contentType: undefined, contentEncoding: undefined, gitProtocol: "version=2" },
  };
}

test("a credential that has expired is replaced by a fresh one, once, where nothing was sent yet", async () => {
  let given = 0;
  token = async () => `Bearer token-${++given}`;
  standIn.instead = ({ headers }, response) => {
    if (headers.authorization !== "Bearer token-1") return false;
    status(401)(response);
    return true;
  };
  expect((await run(folder, "ls-remote", `${door}/acme/demo.git`)).exitCode).toBe(0);
  expect(refusedTokens).toBe(1);
});

test("ATTACKS 57: a renamed repository is followed on its own origin, and remembered; nowhere else", async () => {
  instead(/\/acme\/demo\.git/, (response, request) =>
    status(301, { location: `${standIn.origin}${(request.url ?? "").replace("demo", "renamed")}` })(response),
  );
  await clone();
  expect(standIn.requests.map(({ line }) => line.split("?")[0])).toEqual([
    "GET /acme/demo.git/info/refs",
    "GET /acme/renamed.git/info/refs",
    "POST /acme/renamed.git/git-upload-pack",
    "POST /acme/renamed.git/git-upload-pack",
  ]);

  const thief = await startStandIn({ folder: join(folder, "thief"), folderOf: () => bareOf("acme/demo") });
  for (const location of [
    `${thief.origin}/acme/deep.git/info/refs?service=git-upload-pack`,
    `//${thief.origin.slice("http://".length)}/acme/deep.git/info/refs?service=git-upload-pack`,
    `${standIn.origin.replace("http://", "http://user:password@")}/acme/demo.git/info/refs?service=git-upload-pack`,
    `${standIn.origin}/acme/demo.git/info/refs?service=git-receive-pack`,
    `${standIn.origin}/acme%2Fdemo.git/info/refs?service=git-upload-pack`,
    "/login",
    "http://[",
    "",
  ]) {
    standIn.requests.splice(0);
    instead(/deep/, status(302, { location }));
    const { err } = await run(folder, "ls-remote", `${door}/acme/deep.git`);
    expect(err).toContain("where the appliance does not follow");
    expect(standIn.requests).toHaveLength(1);
  }
  expect(thief.requests).toEqual([]);
  await thief.close();
});

test("a client that goes away ends the request to the server", async () => {
  let upstreamEnded = false;
  instead(/info\/refs/, (response) => {
    response.writeHead(200, { "content-type": "application/x-git-upload-pack-advertisement" });
    const chunk = Buffer.alloc(65536, "0");
    const more = () => {
      while (!response.destroyed && response.write(chunk));
    };
    response.on("drain", more);
    response.once("close", () => {
      upstreamEnded = true;
    });
    more();
  });
  const { hostname, port } = new URL(door);
  const socket: Socket = connect(Number(port), hostname);
  socket.on("error", () => undefined);
  socket.write("GET /acme/demo.git/info/refs?service=git-upload-pack HTTP/1.1\r\nhost: x\r\n\r\n");
  await new Promise((resolve) => socket.once("data", resolve));
  socket.pause();
  await Bun.sleep(300);
  expect(upstreamEnded).toBe(false);
  socket.destroy();
  await until("the request has ended", () => upstreamEnded);
});

test("a task fills no disk with packs side by side: one push of a branch is looked at, another is told to wait", async () => {
  const path = await clone();
  const before = await commit(path, "one");
  expect((await push(path)).exitCode).toBe(0);
  const { hostname, port } = new URL(door);
  const stalled: Socket = connect(Number(port), hostname);
  stalled.on("error", () => undefined);
  const head = Buffer.concat([
    pktLine(`${before} ${"1".repeat(40)} ${own}\0 report-status object-format=sha1`),
    flushPkt,
    Buffer.from("PACK"),
  ]);
  const type = "content-type: application/x-git-receive-pack-request\r\ncontent-length: 100000";
  stalled.write(`POST /acme/demo.git/git-receive-pack HTTP/1.1\r\nhost: x\r\n${type}\r\n\r\n`);
  stalled.write(head);
  const quarantined = async () => (await readdir(join(folder, "quarantine"))).length;
  await until("it is in quarantine", async () => (await quarantined()) === 1);
  const second = await commit(path, "two");
  const refused = await push(path);
  expect(refused.exitCode).not.toBe(0);
  expect(refused.err).toContain("another push of this branch is under way");
  expect(await quarantined()).toBe(1);

  stalled.destroy();
  await until("the quarantine is empty", async () => (await quarantined()) === 0);
  expect((await push(path)).exitCode).toBe(0);
  expect(await tipOf()).toBe(second);
});

test("one ref is asked for, whether the server speaks version 2 or 0", async () => {
  const bare = join(folder, "demo.git");
  await run(bare, "update-ref", own, "main");
  await run(bare, "symbolic-ref", "refs/heads/claude/alias", "refs/heads/main");
  const main = (await run(bare, "rev-parse", "main")).out;
  const look = (ref: string, version: string) => {
    const { signal } = new AbortController();
    const endpoint = upstream.endpointOf(repository("acme/demo"));
    return lookUpRef(
      (call) => endpoint.serve({ ...call, headers: { ...call.headers, gitProtocol: version } }),
      ref,
      signal,
    );
  };
  for (const version of ["version=2", "version=0"]) {
    expect(await look(own, version)).toEqual({ tip: main, symbolic: false });
    expect(await look("refs/heads/claude/none", version)).toEqual({ tip: undefined, symbolic: false });
  }
  expect(await look("refs/heads/claude/alias", "version=2")).toEqual({ tip: main, symbolic: true });
  await run(bare, "symbolic-ref", "--delete", "refs/heads/claude/alias");
});

test("a company's proxy is asked by absolute address for http, with its own credential", async () => {
  const seen: string[] = [];
  const proxy = createServer((request, response) => {
    seen.push(`${request.url} ${request.headers["proxy-authorization"]} ${request.headers.host}`);
    response.writeHead(407);
    response.end();
  });
  proxy.on("connect", (_request, socket) => socket.end("HTTP/1.1 407 Who are you\r\n\r\n"));
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  const address = proxy.address();
  const http = createUpstreamHttp({
    proxy: {
      hostname: "127.0.0.1",
      port: typeof address === "object" ? (address?.port ?? 0) : 0,
      authorization: "Basic cHJveHk=",
    },
  });
  const { signal } = new AbortController();
  const url = new URL("http://forge.example/acme/demo.git/info/refs?service=git-upload-pack");
  expect((await http.send({ url, method: "GET", headers: {}, signal })).status).toBe(407);
  expect(seen).toEqual([`${url.href} Basic cHJveHk= forge.example`]);
  const secure = new URL("https://forge.example/acme/demo.git/info/refs");
  await expect(http.send({ url: secure, method: "GET", headers: {}, signal })).rejects.toThrow(
    "refuses the connection to forge.example:443 (407)",
  );
  proxy.close();
});

test("a company's proxy opens tunnels for https, and the forge proves itself inside", async () => {
  const forge = createSecureServer({ cert: testCertificate, key: testKey }, (request, response) => {
    response.end(`${request.headers.host} ${request.url}`);
  });
  const asked: string[] = [];
  const proxy = createServer();
  proxy.on("connect", (request, socket) => {
    asked.push(`${request.url} ${request.headers["proxy-authorization"]}`);
    const onward = connect(portOf(forge), "127.0.0.1", () => {
      socket.write("HTTP/1.1 200 OK\r\n\r\n");
      onward.pipe(socket).pipe(onward);
    });
    for (const each of [socket, onward]) each.on("error", () => undefined);
  });
  for (const server of [forge, proxy]) {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    closers.push(
      () => server.closeAllConnections(),
      () => server.close(),
    );
  }
  const setting = { hostname: "127.0.0.1", port: portOf(proxy), authorization: "Basic cHJveHk=" };
  const { signal } = new AbortController();
  const url = new URL("https://localhost:9/acme/demo.git/info/refs");
  const get = (http: ReturnType<typeof createUpstreamHttp>) =>
    http.send({ url, method: "GET", headers: {}, signal });
  const trusting = createUpstreamHttp({ proxy: setting, authorities: [testCertificate], connectMs: 30_000 });
  const answer = await get(trusting);
  expect(await Array.fromAsync(answer.body).then((chunks) => Buffer.concat(chunks).toString())).toBe(
    "localhost:9 /acme/demo.git/info/refs",
  );
  expect(asked).toEqual(["localhost:9 Basic cHJveHk="]);
  const atAddress = { url, method: "GET", headers: {}, signal, address: "192.0.2.1" } as const;
  const vetted = await createUpstreamHttp({ proxy: setting, authorities: [testCertificate] }).send(atAddress);
  expect([vetted.status, asked.at(-1)]).toEqual([200, "192.0.2.1:9 Basic cHJveHk="]);
  vetted.discard();
  await expect(get(createUpstreamHttp({ proxy: setting }))).rejects.toThrow("The certificate of localhost");
});

test("an address that was judged is dialled, and the certificate is the one of the name", async () => {
  const seen: string[] = [];
  const server = createSecureServer({ cert: testCertificate, key: testKey }, (request, response) => {
    seen.push(request.headers.host ?? "");
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(
    () => server.closeAllConnections(),
    () => server.close(),
  );
  const http = createUpstreamHttp({ authorities: [testCertificate] });
  const ask = (name: string) =>
    http.send({
      ...{ url: new URL(`https://${name}:${portOf(server)}/x`), method: "GET", headers: {} },
      ...{ signal: new AbortController().signal, address: "127.0.0.1" },
    });
  expect((await ask("localhost")).status).toBe(200);
  await expect(ask("other.example")).rejects.toThrow("The certificate of other.example");
  expect(seen).toEqual([`localhost:${portOf(server)}`]);
});

function portOf(server: Pick<Server, "address">): number {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
