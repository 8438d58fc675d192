import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { executable } from "./appliance.ts";

/** `ccw-server git-proxy` of the compiled executable between git's own client and git's own http-backend. */

setDefaultTimeout(600_000);

const own = "refs/heads/claude/x";
const password = `Basic ${Buffer.from("ann:hunter2").toString("base64")}`;
let folder: string;
let direct: string;
let secure: string;
let relay: string;
let task: string;
let secureRelay: string;
let locked = false;
const closers: (() => unknown)[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "git-proxy-"));
  for (const format of ["sha1", "sha256"]) {
    const bare = join(folder, "served", `${format}.git`);
    await git(folder, "init", "-q", "--bare", "-b", "main", `--object-format=${format}`, bare);
    await git(bare, "config", "http.receivepack", "true");
    await git(bare, "config", "uploadpack.allowFilter", "true");
    const work = join(folder, `work-${format}`);
    await git(folder, "init", "-q", "-b", "main", `--object-format=${format}`, work);
    for (const text of ["one", "two", "three"]) await commit(work, text);
    await git(work, "push", "-q", bare, "main", "main:refs/heads/side");
  }
  const [key, certificate] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
  const argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  await Bun.spawn([...argv, "-keyout", key, "-out", certificate, "-days", "2", ...names], {
    stderr: "ignore",
  }).exited;
  direct = `http://127.0.0.1:${await listen(createServer(serve))}`;
  const tls = { key: await readFile(key), cert: await readFile(certificate) };
  secure = `https://localhost:${await listen(createSecureServer(tls, serve))}`;
  ({ url: relay } = await startRelay(direct, "--policy", "allow-all"));
  ({ url: task } = await startRelay(direct, "--branch", "claude/x"));
  ({ url: secureRelay } = await startRelay(secure, "--policy", "allow-all", "--ca", certificate));
});

afterAll(async () => {
  for (const close of closers) await close();
  await rm(folder, { recursive: true, force: true });
});

async function listen(server: ReturnType<typeof createServer>): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

async function startRelay(upstream: string, ...options: string[]): Promise<{ url: string; pid: number }> {
  const argv = [executable, "git-proxy", "--listen", "127.0.0.1:0", "--upstream", upstream, ...options];
  const child = Bun.spawn(argv, { cwd: folder, stdio: ["ignore", "pipe", "ignore"] });
  closers.push(async () => {
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
  });
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    const url = /Listening at (\S+)/.exec(text)?.[1];
    if (url !== undefined) return { url, pid: child.pid };
  }
  throw new Error("the relay has ended");
}

/** git http-backend, as a web server runs it (RFC 3875). */
function serve(request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? "", "http://x");
  if (locked && request.headers.authorization !== password) {
    response.writeHead(401, { "www-authenticate": 'Basic realm="real one"' });
    return void response.end();
  }
  if (url.pathname.startsWith("/moved/")) {
    response.writeHead(301, { location: `${direct}${(request.url ?? "").slice("/moved".length)}` });
    return void response.end();
  }
  const child = Bun.spawn(["git", "http-backend"], {
    env: {
      PATH: "/usr/bin:/bin",
      GIT_PROJECT_ROOT: join(folder, "served"),
      GIT_HTTP_EXPORT_ALL: "1",
      REQUEST_METHOD: request.method ?? "",
      PATH_INFO: url.pathname,
      QUERY_STRING: url.search.slice(1),
      CONTENT_TYPE: request.headers["content-type"] ?? "",
      HTTP_CONTENT_ENCODING: request.headers["content-encoding"] ?? "",
      GIT_PROTOCOL: String(request.headers["git-protocol"] ?? ""),
      ...(request.headers["content-length"] ? { CONTENT_LENGTH: request.headers["content-length"] } : {}),
    },
    stdio: ["pipe", "pipe", "ignore"],
  });
  response.once("close", () => child.kill());
  void (async () => {
    for await (const chunk of request) {
      child.stdin.write(chunk);
      await child.stdin.flush();
    }
    await child.stdin.end();
  })().catch(() => child.kill());
  void (async () => {
    let head: Buffer | undefined = Buffer.alloc(0);
    for await (const chunk of child.stdout) {
      if (head === undefined) {
        if (!response.write(chunk)) await new Promise((resolve) => response.once("drain", resolve));
        continue;
      }
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf("\r\n\r\n");
      if (end === -1) continue;
      const lines = head.subarray(0, end).toString().split("\r\n");
      for (const line of lines) {
        const [name = "", value = ""] = line.split(/: (.*)/s);
        if (name === "Status") response.statusCode = Number.parseInt(value, 10);
        else response.setHeader(name, value);
      }
      response.write(head.subarray(end + 4));
      head = undefined;
    }
    response.end();
  })().catch(() => response.destroy());
}

async function git(cwd: string, ...args: string[]): Promise<{ exitCode: number; out: string; err: string }> {
  const child = Bun.spawn(["git", "-c", "user.name=Bea", "-c", "user.email=bea@example.org", ...args], {
    cwd,
    env: {
      PATH: "/usr/local/bin:/usr/bin:/bin",
      HOME: folder,
      GIT_TERMINAL_PROMPT: "0",
      GIT_CONFIG_NOSYSTEM: "1",
      GIT_COMMITTER_DATE: "1700000000 +0000",
      GIT_AUTHOR_DATE: "1700000000 +0000",
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { exitCode: await child.exited, out: out.trim(), err };
}
async function commit(path: string, text: string | Uint8Array): Promise<void> {
  await Bun.write(join(path, "work"), text);
  await git(path, "add", ".");
  await git(path, "commit", "-qm", "Work");
}
const noise = (kib: number) => {
  const bytes = new Uint8Array(kib * 1024);
  for (let at = 0; at < bytes.length; at++) bytes[at] = Math.imul(at ^ (at >>> 9), 2654435761) >>> 13;
  return bytes;
};

/** A story of one client with a server of this address: all that git printed, with what must differ made equal. */
async function story(origin: string, format: string, version: string): Promise<string> {
  const base = await mkdtemp(join(folder, "story-"));
  const told: string[] = [];
  const say = async (cwd: string, ...args: string[]) => {
    const { exitCode, out, err } = await git(cwd, "-c", `protocol.version=${version}`, ...args);
    told.push(`git ${args.join(" ")}\n${exitCode}\n${out}\n${err}`);
  };
  const url = `${origin}/${format}.git`;
  await say(base, "ls-remote", "--symref", url);
  await say(base, "ls-remote", `${origin}/none.git`);
  await say(base, "clone", "-q", "--depth=1", url, "shallow");
  await say(join(base, "shallow"), "rev-list", "--count", "HEAD");
  await say(base, "clone", "-q", "--filter=blob:none", "--no-checkout", url, "partial");
  await say(join(base, "partial"), "rev-list", "--objects", "--missing=print", "HEAD");
  await say(base, "clone", "-q", "--single-branch", "--branch=side", url, "single");
  await say(join(base, "single"), "branch", "-a");
  await say(base, "clone", "-q", url, "full");
  const full = join(base, "full");
  await say(full, "push", "origin", `HEAD:${own}`);
  await commit(full, "four");
  await say(full, "push", "origin", `HEAD:${own}`);
  await commit(full, noise(2048));
  await say(full, "push", "origin", `HEAD:${own}`);
  await git(full, "commit", "-q", "--amend", "-m", "Amended");
  await say(full, "push", "origin", `HEAD:${own}`);
  await say(full, "push", "--force", "origin", `HEAD:${own}`);
  await say(full, "fetch", "--unshallow", "origin");
  await say(join(base, "shallow"), "fetch", "-q", "--unshallow");
  await say(join(base, "shallow"), "rev-list", "--count", "HEAD");
  await say(full, "push", "origin", `:${own}`);
  await say(full, "push", "origin", "HEAD:refs/heads/a..b");
  await say(full, "fsck", "--full");
  return told.join("\n").replaceAll(origin, "ORIGIN").replaceAll(base, "BASE");
}

for (const version of ["0", "1", "2"]) {
  test(`git's client says the same through the relay as to the server itself, in version ${version}`, async () => {
    for (const format of ["sha1", "sha256"]) {
      const told = await story(direct, format, version);
      expect(told).toContain("+ ");
      expect(await story(relay, format, version)).toBe(told);
    }
  });
}

test("the server's own 401 reaches the client, and its credential the server", async () => {
  locked = true;
  const refused = await git(folder, "ls-remote", `${relay}/sha1.git`);
  expect(refused.err).toContain("could not read Username");
  const given = relay.replace("http://", "http://ann:hunter2@");
  expect((await git(folder, "ls-remote", `${given}/sha1.git`)).exitCode).toBe(0);
  locked = false;
});

test("a redirect of the server leads back through the relay", async () => {
  expect((await git(folder, "clone", "-q", `${relay}/moved/sha1.git`, "moved")).exitCode).toBe(0);
});

test("a list of ten thousand refs comes through", async () => {
  const bare = join(folder, "served/sha1.git");
  const tip = (await git(bare, "rev-parse", "main")).out;
  const lines = Array.from({ length: 10_000 }, (_, at) => `create refs/many/r${at} ${tip}\n`).join("");
  const child = Bun.spawn(["git", "update-ref", "--stdin"], { cwd: bare, stdin: Buffer.from(lines) });
  expect(await child.exited).toBe(0);
  const { out } = await git(folder, "-c", "protocol.version=0", "ls-remote", `${relay}/sha1.git`);
  expect(out.split("\n").length).toBeGreaterThan(10_000);
});

test("a server with a certificate of one's own authority is reached by --ca", async () => {
  expect((await git(folder, "clone", "-q", `${secureRelay}/sha1.git`, "secure")).exitCode).toBe(0);
  const { url } = await startRelay(secure, "--policy", "allow-all");
  expect((await git(folder, "ls-remote", `${url}/sha1.git`)).err).toContain("certificate of localhost");
});

test("without --policy a task's rules are in force", async () => {
  await git(folder, "clone", "-q", `${task}/sha1.git`, "ruled");
  const path = join(folder, "ruled");
  await commit(path, "mine");
  expect((await git(path, "push", "origin", "HEAD:main")).err).toContain(`only ${own} is permitted`);
  expect((await git(path, "push", "origin", `HEAD:${own}`)).exitCode).toBe(0);
  await commit(path, "more");
  expect((await git(path, "push", "origin", `HEAD:${own}`)).exitCode).toBe(0);
  await git(path, "commit", "-q", "--amend", "-m", "Amended");
  expect((await git(path, "push", "-f", "origin", `HEAD:${own}`)).err).toContain("(non-fast-forward)");
  expect((await git(path, "push", "origin", `:${own}`)).err).toContain("may not delete");
});

test("100 MB pass in both directions, and the relay grows by less than 64 MB", async () => {
  const { url, pid } = await startRelay(direct, "--policy", "allow-all");
  const memory = async () =>
    Number(/VmHWM:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;
  await git(folder, "clone", "-q", `${url}/sha1.git`, "large");
  const before = await memory();
  const path = join(folder, "large");
  // Nothing is compressed, and nothing compared with anything else.
  for (const [name, value] of [
    ["core.compression", "0"],
    ["core.bigFileThreshold", "1m"],
  ] as const) {
    await git(path, "config", name, value);
  }
  await Bun.write(join(path, "big"), noise(100 * 1024));
  await git(path, "add", ".");
  await git(path, "commit", "-qm", "Large");
  expect((await git(path, "push", "-q", "origin", "HEAD:refs/heads/large")).exitCode).toBe(0);
  const back = ["clone", "-q", "--bare", "--single-branch", "--branch=large", `${url}/sha1.git`, "back"];
  expect((await git(folder, ...back)).exitCode).toBe(0);
  expect((await memory()) - before).toBeLessThan(64);
}, 600_000);

test("mistakes on the command line are told", async () => {
  const tell = async (...args: string[]) => {
    const child = Bun.spawn([executable, "git-proxy", ...args], { stdio: ["ignore", "pipe", "pipe"] });
    const text = await new Response(child.stderr).text();
    return `${await child.exited} ${text}`;
  };
  expect(await tell("--listen", "nowhere", "--upstream", direct)).toMatch(/^[1-9].*no address to listen at/s);
  expect(await tell("--listen", "127.0.0.1:0", "--upstream", "ftp://x")).toMatch(
    /^[1-9].*no address of a git server/s,
  );
  expect(await tell("--listen", new URL(direct).host, "--upstream", direct)).toMatch(
    /^[1-9].*Nothing can listen/s,
  );
});
