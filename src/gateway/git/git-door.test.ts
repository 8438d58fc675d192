import { afterAll, beforeAll, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { pidsWith } from "../../../test/machine.ts";
import { until } from "../../../test/until.ts";
import type { GitEndpoint } from "../../domain/git-server.ts";
import type { SandboxId, TaskId } from "../../domain/ids.ts";
import { flushPkt, pktLine } from "../../domain/pkt-line.ts";
import type { RewriteOnce } from "../../domain/ports.ts";
import { createGitServer } from "../../forge/git-server.ts";
import { createGitUpstream } from "../../forge/git-upstream.ts";
import { createHostedRepositories, type HostedRepositories } from "../../forge/hosted.ts";
import { openQuarantine } from "../../forge/quarantine.ts";
import { endpointAt } from "../../forge/repositories.ts";
import { type StandInServer, startStandIn } from "../../forge/stand-in-server.fixture.ts";
import { createUpstreamHttp } from "../../forge/upstream-http.ts";
import { createGitDoor, type GitDoor } from "./git-door.ts";

/** A real door at a Unix socket, as a sandbox has it, and at a loopback port for git, which knows no Unix sockets. */

// Real git on a busy machine takes its time.
setDefaultTimeout(180_000);

const sandbox = { id: "sbx_0000000000aaaaaaaaaa" as SandboxId, taskId: "tsk_0000000000aaaaaaaaaa" as TaskId };
const token = "scoped-token-of-this-sandbox";
const own = "refs/heads/claude/fix-1";
const zero = "0".repeat(40);
/** Of the appliance, at the server of remote repositories. */
const realCredential = Buffer.from("x:the-real-one").toString("base64");

for (const kind of ["hosted", "remote"] as const) {
  describe(`a ${kind} repository`, () => {
    let folder: string;
    let socket: string;
    /** Of a door that waits half a second alone. */
    let impatient: string;
    let url: string;
    let hosted: HostedRepositories;
    let tip: string;
    let servers: Server[];
    let refusals: { repository: string; ref: string; reason: string }[] = [];
    let logged: string[] = [];
    /** Ends the sandbox's right to its token, as the end of its task does. */
    let tokenIsGood = true;
    /** What the operator lets a task do to its own branch. */
    let may = { force: false, delete: false };
    let rewrite: RewriteOnce | undefined;
    /** Makes the rest of the house unable to say what the sandbox may reach. */
    let grantsFail = false;
    /** The server of remote repositories. */
    let standIn: StandInServer | undefined;
    const name = kind === "hosted" ? "demo" : "forge.example/acme/demo";
    const secret = kind === "hosted" ? "secret" : "forge.example/acme/secret";

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), "git-door-"));
      const record = (message: string, fields?: object) =>
        void logged.push(`${message} ${JSON.stringify(fields)}`);
      const log = { info: record, warn: record, error: record };
      hosted = createHostedRepositories({ folder: join(folder, "repositories"), log, now: Date.now });
      await hosted.create("demo");
      await hosted.create("secret");
      const author = { name: "Ann", email: "ann@example.org" };
      const files = [{ path: "README.md", content: "hello\n" }];
      tip = await hosted.commitFiles("demo", { branch: "main", message: "First", author, files });
      await hosted.commitFiles("demo", { branch: "other", message: "Other", author, files });

      const endpoint = await endpointOf(join(folder, "repositories/demo.git"));
      const doorWith = (patienceMs: number) =>
        createGitDoor({
          log,
          tokens: {
            tokenFor: () => token,
            matches: (id, purpose, given) =>
              tokenIsGood && id === sandbox.id && purpose === "git" && given === token,
          },
          port: {
            grantFor(_id, asked) {
              if (grantsFail) throw new Error("the database is closed");
              if (asked !== name) return undefined;
              const right = { kind: "branch" as const, branch: "claude/fix-1", ...may };
              return { name, right, endpoint: endpoint(), rewrite };
            },

            refused: (_id, repository, ref, reason) => void refusals.push({ repository, ref, reason }),
          },
          patienceMs,
        });
      const listener = (door: GitDoor) =>
        createServer((request, response) => {
          door(sandbox, request, response, (request.url ?? "").slice("/git".length)).catch(() =>
            response.destroy(),
          );
        });
      [socket, impatient] = [join(folder, "door.sock"), join(folder, "impatient.sock")];
      const door = doorWith(30_000);
      servers = [
        listener(door).listen(socket),
        listener(door).listen(0, "127.0.0.1"),
        listener(doorWith(500)).listen(impatient),
      ];
      await Promise.all(servers.map((server) => new Promise((resolve) => server.once("listening", resolve))));
      url = `http://git:${token}@127.0.0.1:${portOf(servers[1])}/git/${name}.git`;
    });

    /** What the rest of the house gives the door, with a pack limit of 4 MiB. */
    async function endpointOf(bare: string): Promise<() => GitEndpoint> {
      const log = { info() {}, warn() {}, error() {} };
      const maxTaskPackBytes = 4 * 1024 ** 2;
      if (kind === "hosted") {
        const git = await createGitServer({ folder: join(folder, "server"), log, maxTaskPackBytes });
        return () => endpointAt(git, bare);
      }
      standIn = await startStandIn({
        folder: join(folder, "stand-in"),
        folderOf: (path) => ({ "acme/demo": bare, "acme/secret": bare.replace("demo", "secret") })[path],
      });
      const mirror = join(folder, "mirror.git");
      await gitIn(folder, "clone", "-q", "--mirror", bare, mirror);
      const upstream = createGitUpstream({
        http: createUpstreamHttp(),
        access: { authorizationFor: async () => `Basic ${realCredential}`, refused() {} },
        log,
        maxTaskPackBytes,
        quarantine: await openQuarantine({
          folder: join(folder, "quarantine"),
          maxPackBytes: maxTaskPackBytes,
        }),
        base: {
          async folderWith() {
            await gitIn(mirror, "fetch", "-q", "--prune");
            return mirror;
          },
        },
      });
      const { origin } = standIn;
      return () =>
        upstream.endpointOf({
          ...{ kind: "remote", name, forge: "forge", path: "acme/demo", defaultBranch: "main", createdAt: 0 },
          ...{ cloneUrl: `${origin}/acme/demo.git`, webUrl: "", push: { force: false, delete: false } },
        });
    }

    /** How many pushes reached the server of the repository; none ever do of those that are refused. */
    const pushesOn = () =>
      standIn?.requests.filter(({ line }) => line.startsWith("POST /acme/demo.git/git-receive-pack"))
        .length ?? 0;

    function portOf(server: Server | undefined): number {
      const address = server?.address();
      if (typeof address !== "object" || address === null) throw new Error("no port");
      return address.port;
    }

    afterAll(async () => {
      for (const server of servers) server.close();
      await standIn?.close();
      await rm(folder, { recursive: true, force: true });
    });

    beforeEach(async () => {
      refusals = [];
      logged = [];
      tokenIsGood = true;
      grantsFail = false;
      may = { force: false, delete: false };
      rewrite = undefined;
      standIn?.requests.splice(0);
      await gitIn(join(folder, "repositories/demo.git"), "update-ref", "-d", own);
    });

    async function gitIn(
      cwd: string,
      ...args: string[]
    ): Promise<{ exitCode: number; out: string; err: string }> {
      const child = Bun.spawn(["git", "-c", "user.name=Bea", "-c", "user.email=bea@example.org", ...args], {
        cwd,
        env: {
          PATH: "/usr/local/bin:/usr/bin:/bin",
          HOME: folder,
          GIT_TERMINAL_PROMPT: "0",
          GIT_CONFIG_NOSYSTEM: "1",
        },
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

    let clones = 0;
    async function clone(...options: string[]): Promise<string> {
      const path = join(folder, `clone-${++clones}`);
      const { exitCode, err } = await gitIn(folder, "clone", "-q", ...options, url, path);
      if (exitCode !== 0) throw new Error(err);
      return path;
    }
    async function commit(path: string, bytes: Uint8Array | string = `${clones}`): Promise<string> {
      await Bun.write(join(path, "work"), bytes);
      await gitIn(path, "add", ".");
      await gitIn(path, "commit", "-qm", "Work");
      return (await gitIn(path, "rev-parse", "HEAD")).out;
    }
    async function refs(): Promise<string> {
      return (await gitIn(join(folder, "repositories/demo.git"), "for-each-ref")).out;
    }

    interface Answer {
      status: number;
      head: string;
      body: string;
    }
    /** Sends these bytes over the sandbox's socket, in these pieces, and reads until the connection ends. */
    async function raw(pieces: (string | Uint8Array)[], pauseMs = 0, at = socket): Promise<Answer> {
      const client = connect(at);
      const chunks: Buffer[] = [];
      client.on("data", (chunk: Buffer) => chunks.push(chunk)).on("error", () => undefined);
      const closed = new Promise((resolve) => client.once("close", resolve));
      await new Promise((resolve) => client.once("connect", resolve));
      for (const piece of pieces) {
        if (!client.writable) break;
        client.write(piece);
        if (pauseMs > 0) await Bun.sleep(pauseMs);
      }
      await closed;
      const [head = "", ...rest] = Buffer.concat(chunks).toString("latin1").split("\r\n\r\n");
      return { status: Number(head.split(" ")[1]), head, body: rest.join("\r\n\r\n") };
    }
    function post(path: string, body: Uint8Array, headers: Record<string, string> = {}): string {
      const service = path.slice(path.lastIndexOf("/") + 1);
      const all = {
        host: "door",
        connection: "close",
        authorization: `Bearer ${token}`,
        "content-type": `application/x-${service}-request`,
        "content-length": String(body.length),
        ...headers,
      };
      const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
      return `POST /git${path} HTTP/1.1\r\n${lines.join("")}\r\n`;
    }
    function get(path: string, authorization = `Bearer ${token}`, more = ""): string {
      return `GET /git${path} HTTP/1.1\r\nhost: door\r\nconnection: close\r\nauthorization: ${authorization}\r\n${more}\r\n`;
    }
    /** What a push sends whose commits are there already: a pack of no objects. */
    const emptyPackHead = Buffer.concat([Buffer.from("PACK"), Uint8Array.of(0, 0, 0, 2, 0, 0, 0, 0)]);
    const emptyPack = Buffer.concat([
      emptyPackHead,
      new Bun.CryptoHasher("sha1").update(emptyPackHead).digest(),
    ]);
    const receivePack = `/${name}.git/git-receive-pack`;
    const command = (ref: string, newId = tip, oldId = zero) =>
      pktLine(`${oldId} ${newId} ${ref}\0 report-status side-band-64k`);
    function send(...parts: Uint8Array[]): Promise<Answer> {
      const body = Buffer.concat(parts);
      return raw([post(receivePack, body), body]);
    }
    function push(...lines: Uint8Array[]): Promise<Answer> {
      return send(...lines, flushPkt, emptyPack);
    }

    test("a sandbox clones, makes its branch, moves it on and fetches, with git's own client", async () => {
      const path = await clone();
      expect(await Bun.file(join(path, "README.md")).text()).toBe("hello\n");
      await commit(path);
      expect(await gitIn(path, "push", "-q", "origin", `HEAD:${own}`)).toMatchObject({ exitCode: 0 });
      const second = await commit(path, "again");
      expect(await gitIn(path, "push", "-q", "origin", `HEAD:${own}`)).toMatchObject({ exitCode: 0 });
      expect(await hosted.tipOf("demo", "claude/fix-1")).toBe(second);
      const other = await clone("--branch", "other");
      expect(await gitIn(other, "fetch", "-q", "origin", "claude/fix-1")).toMatchObject({ exitCode: 0 });
      expect((await gitIn(other, "rev-parse", "FETCH_HEAD")).out).toBe(second);
      expect(refusals).toEqual([]);
    });

    test("shallow and partial clones work, over every version of the protocol", async () => {
      for (const version of ["0", "1", "2"]) {
        const protocol = ["-c", `protocol.version=${version}`];
        const shallow = await clone("--depth=1", ...protocol);
        expect((await gitIn(shallow, "rev-parse", "--is-shallow-repository")).out).toBe("true");
        const partial = await clone("--filter=blob:none", "--no-checkout", ...protocol);
        expect((await gitIn(partial, "rev-list", "--objects", "--missing=print", "HEAD")).out).toContain("?");
      }
    });

    test("a rolled-back branch is rewritten by the one push that may, which is told as taken, and by none before or after", async () => {
      const path = await clone();
      const first = await commit(path);
      await gitIn(path, "push", "-q", "origin", `HEAD:${own}`);
      await gitIn(path, "commit", "-q", "--amend", "-m", "Again");
      const again = (await gitIn(path, "rev-parse", "HEAD")).out;
      const force = () => gitIn(path, "push", "-q", "--force", "origin", `HEAD:${own}`);
      expect(await force()).toMatchObject({ exitCode: 1 });
      const begun: object[] = [];
      const ended: boolean[] = [];
      rewrite = {
        begin({ oldId, newId }) {
          begun.push({ oldId, newId });
          return ended.includes(true) ? undefined : (taken) => void ended.push(taken);
        },
      };
      // Without a report nobody could tell.
      await send(pktLine(`${first} ${tip} ${own}\0 side-band-64k`), flushPkt, emptyPack);
      expect([begun, await hosted.tipOf("demo", "claude/fix-1")]).toEqual([[], first]);
      // What the server does not take ends nothing.
      await push(command(own, "1".repeat(40), first));
      expect(ended).toEqual([false]);
      expect(await force()).toMatchObject({ exitCode: 0 });
      expect(begun.at(-1)).toEqual({ oldId: first, newId: again });
      expect(ended).toEqual([false, true]);
      expect(await hosted.tipOf("demo", "claude/fix-1")).toBe(again);
      await gitIn(path, "commit", "-q", "--amend", "-m", "Once more");
      expect(await force()).toMatchObject({ exitCode: 1 });
      expect(await hosted.tipOf("demo", "claude/fix-1")).toBe(again);
    });

    test("a shallow clone pushes its work", async () => {
      const path = await clone("--depth=1");
      const work = await commit(path);
      expect((await gitIn(path, "push", "-q", "origin", `HEAD:${own}`)).err).toBe("");
      expect(await hosted.tipOf("demo", "claude/fix-1")).toBe(work);
    });

    test("ten clones at once come through", async () => {
      const paths = await Promise.all(Array.from({ length: 10 }, () => clone()));
      for (const path of paths) expect((await gitIn(path, "rev-parse", "HEAD")).out).toBe(tip);
    });

    test("a push of over 1 MiB, which git tries out with an empty one, comes through", async () => {
      const path = await clone();
      const work = await commit(path, crypto.getRandomValues(new Uint8Array(60_000)).toHex().repeat(20));
      await Bun.write(
        join(path, "big"),
        Buffer.concat(Array.from({ length: 40 }, () => crypto.getRandomValues(new Uint8Array(65536)))),
      );
      const big = await commit(path, "big");
      expect(big).not.toBe(work);
      expect(await gitIn(path, "push", "-q", "origin", `HEAD:${own}`)).toMatchObject({ exitCode: 0 });
      expect(await hosted.tipOf("demo", "claude/fix-1")).toBe(big);
      const probe = await send(flushPkt);
      expect(probe).toMatchObject({ status: 200 });
      expect(probe.body.replace("0\r\n\r\n", "")).toBe("");
    });

    for (const ref of [
      "refs/heads/main",
      "refs/tags/v1",
      "refs/notes/x",
      "refs/for/main",
      "refs/heads/Claude/fix-1",
      `${own}2`,
    ]) {
      test(`ATTACKS 46, 48: git's own output says why a push to ${ref} is refused, and nothing changes`, async () => {
        const before = await refs();
        const path = await clone();
        await commit(path);
        const { exitCode, err } = await gitIn(path, "push", "origin", `HEAD:${ref}`);
        expect(exitCode).toBe(1);
        expect(err).toContain(`remote: Push refused: ${ref}: only ${own} is permitted.`);
        expect(err).toContain(`remote: Push there with: git push origin HEAD:${own}`);
        expect(err).toContain("[remote rejected]");
        expect(await refs()).toBe(before);
        expect(refusals).toEqual([{ repository: name, ref, reason: `only ${own} is permitted` }]);
        expect(pushesOn()).toBe(0);
      });
    }

    test("a refused push of over 1 MiB is explained as well", async () => {
      const path = await clone();
      await commit(
        path,
        Buffer.concat(Array.from({ length: 40 }, () => crypto.getRandomValues(new Uint8Array(65536)))),
      );
      const { err } = await gitIn(path, "push", "origin", "HEAD:main");
      expect(err).toContain("remote: Push refused: refs/heads/main");
    });

    test("ATTACKS 47: allowed and forbidden refs together are all refused; so is one ref twice", async () => {
      const before = await refs();
      const path = await clone();
      await commit(path);
      const { err } = await gitIn(path, "push", "origin", `HEAD:${own}`, "HEAD:main");
      expect(err.match(/\[remote rejected\]/g)).toHaveLength(2);
      const twice = await push(command(own), command(own));
      expect(twice.body).toContain(`ng ${own} named more than once`);
      expect(pushesOn()).toBe(0);
      expect(await refs()).toBe(before);
    });

    test("ATTACKS 48: a trailing newline does not make another ref the own one", async () => {
      const answer = await push(pktLine(`${zero} ${tip} ${own}\n\0 report-status side-band-64k`));
      expect(answer.body).toContain("Push refused");
      expect(pushesOn()).toBe(0);
    });

    test("ATTACKS 49: a push certificate is refused; push options are stripped", async () => {
      const before = await refs();
      const certificate = await push(pktLine("push-cert\0 report-status side-band-64k"), command(own));
      expect(certificate.body).toContain("signed pushes are not taken here");
      expect(pushesOn()).toBe(0);
      expect(await refs()).toBe(before);
      const line = pktLine(`${zero} ${tip} ${own}\0 report-status push-options`);
      const options = await push(line, flushPkt, pktLine("ci.skip"));
      expect(options.body).toContain(`ok ${own}`);
    });

    test("ATTACKS 50: commands split at every byte over segments get the same verdict", async () => {
      for (const [ref, words] of [
        [own, `ok ${own}`],
        ["refs/heads/main", "Push refused"],
      ] as const) {
        const body = Buffer.concat([command(ref), flushPkt, emptyPack]);
        const bytes = [...body].map((byte) => Uint8Array.of(byte));
        expect((await raw([post(receivePack, body), ...bytes], 1)).body).toContain(words);
      }
    });

    test("ATTACKS 51: lengths that git does not write are 400", async () => {
      for (const length of ["0001", "0002", "0003", "0004", "+00a", "0x1f"]) {
        expect((await push(Buffer.from(`${length}${zero} ${tip} ${own}`))).status).toBe(400);
      }
      expect(pushesOn()).toBe(0);
    });

    test("ATTACKS 51: a second ref behind NUL is not pushed", async () => {
      const before = await refs();
      const answer = await push(
        pktLine(`${zero} ${tip} ${own}\0 report-status\n${zero} ${tip} refs/heads/evil`),
      );
      expect(answer.body).toContain(`ok ${own}`);
      expect((await refs()).replace(`${tip} commit\t${own}\n`, "")).toBe(before);
    });

    test("ATTACKS 52: over 1 MiB of commands without a flush is 400; so is a body that ends or stalls among them", async () => {
      const line = command(`refs/heads/${"x".repeat(1000)}`);
      const flood = Buffer.concat(Array.from({ length: 1200 }, () => line));
      expect((await raw([post(receivePack, flood), flood])).status).toBe(400);
      expect((await raw([post(receivePack, command(own)), command(own)])).status).toBe(400);
      const stalled = { "content-length": "1000" };
      expect((await raw([post(receivePack, command(own), stalled), command(own)], 0, impatient)).status).toBe(
        400,
      );
    });

    test("ATTACKS 52: gzip on a push is 415; a gzip bomb on a fetch is cut off, a gzipped fetch is not", async () => {
      const gzip = { "content-encoding": "gzip" };
      const pushed = gzipSync(Buffer.concat([command(own), flushPkt]));
      expect((await raw([post(receivePack, pushed, gzip), pushed])).status).toBe(415);

      const uploadPack = `/${name}.git/git-upload-pack`;
      const v0 = Buffer.concat([pktLine(`want ${tip} no-progress\n`), flushPkt, pktLine("done\n")]);
      const good = gzipSync(v0);
      expect((await raw([post(uploadPack, good, gzip), good])).body).toContain("PACK");

      const have = pktLine(`have ${"1".repeat(40)}\n`);
      const bomb = gzipSync(
        Buffer.concat([v0.subarray(0, -8), ...Array.from({ length: 400_000 }, () => have)]),
      );
      expect(bomb.length).toBeLessThan(200_000);
      const cut = await raw([post(uploadPack, bomb, gzip), bomb]);
      expect(cut.body).not.toContain("PACK");

      const junk = Buffer.from("this is no gzip");
      expect((await raw([post(uploadPack, junk, gzip), junk])).status).toBe(400);
      const zeros = gzipSync(new Uint8Array(64 * 1024 ** 2));
      expect((await raw([post(uploadPack, zeros, { "content-encoding": "br" }), zeros])).status).toBe(415);
    });

    test("ATTACKS 53: a working branch that is a name for main is refused", async () => {
      const bare = join(folder, "repositories/demo.git");
      await gitIn(bare, "symbolic-ref", own, "refs/heads/main");
      const path = await clone();
      await commit(path);
      const { err } = await gitIn(path, "push", "origin", `HEAD:${own}`);
      expect(err).toContain("only a name for another one");
      expect(pushesOn()).toBe(0);
      expect(await hosted.tipOf("demo", "main")).toBe(tip);
      await gitIn(bare, "symbolic-ref", "--delete", own);
    });

    test("ATTACKS 53: no branch is deleted, the own one neither", async () => {
      const path = await clone();
      await gitIn(path, "push", "-q", "origin", `HEAD:${own}`);
      expect((await gitIn(path, "push", "origin", `:${own}`)).err).toContain(
        "a task may not delete a branch",
      );
      expect((await gitIn(path, "push", "origin", ":other")).err).toContain("Push refused");
      expect(await hosted.branchExists("demo", "other")).toBe(true);
      expect(pushesOn()).toBe(kind === "hosted" ? 0 : 1);
    });

    test("ATTACKS 53: rewriting the own branch is refused by the graph, whatever the client claims", async () => {
      const path = await clone();
      const first = await commit(path, "one");
      await gitIn(path, "push", "-q", "origin", `HEAD:${own}`);
      await gitIn(path, "commit", "-q", "--amend", "-m", "Rewritten");
      const { err } = await gitIn(path, "push", "--force", "origin", `HEAD:${own}`);
      expect(err).toContain("non-fast-forward");
      expect(refusals).toEqual([{ repository: name, ref: own, reason: "non-fast-forward" }]);
      // "The branch does not exist yet", and "it stands at main": both untrue.
      for (const claim of [zero, tip]) {
        expect((await push(command(own, await hosted.tipOf("demo", "other"), claim))).body).toContain(
          `ng ${own}`,
        );
      }
      expect(await hosted.tipOf("demo", "claude/fix-1")).toBe(first);
    });

    test("ATTACKS 54: tricks with the path are like a repository that does not exist", async () => {
      const paths = [
        ...["/nope.git", `/${secret}.git`, `/%2e%2e/${secret}.git`, `/${name}.git/../${secret}.git`],
        ...[
          `/${name.replace("e", "%65")}.git`,
          `/${name.replace("/", "%2F")}%2egit`,
          `/a%2F${name}.git`,
          `/%252e%252e/${name}.git`,
          `//${name}.git`,
        ],
        ...[
          `/${name}.git.git`,
          `/${name}.wiki.git`,
          `/${name}.git;x`,
          `/${name}.git/${secret}.git`,
          `/a\\${name}.git`,
        ],
        ...[`/${name}-other.git`, `/${name}x.git`, `/${name}/fork.git`, `/${name.toUpperCase()}.git`],
        ...[`/fork/${name}.git`, `/${name.slice(1)}.git`, "/127.0.0.1/acme/demo.git"],
      ];
      const answers = await Promise.all(
        paths.map((path) => raw([get(`${path}/info/refs?service=git-upload-pack`)])),
      );
      const unknown = answers[0];
      expect(unknown?.status).toBe(404);
      for (const answer of answers) {
        expect({ status: answer.status, body: answer.body }).toEqual({
          status: 404,
          body: unknown?.body ?? "",
        });
      }
      const absent = await gitIn(folder, "ls-remote", url.replace("demo", "secret"));
      expect(absent.err).toContain("not found");
    });

    test("ATTACKS 55: dumb paths and upload-archive are 404, other methods 405, and the path decides the service", async () => {
      for (const path of ["/HEAD", "/config", "/info/refs", "/objects/info/packs", "/git-upload-archive"]) {
        expect((await raw([get(`/${name}.git${path}`)])).status).toBe(404);
      }
      expect((await raw([get(`/${name}.git/git-upload-pack`)])).status).toBe(405);
      const refsPath = `/${name}.git/info/refs?service=git-upload-pack`;
      for (const method of ["POST", "PUT", "DELETE", "HEAD"]) {
        expect((await raw([get(refsPath).replace("GET", method)])).status).toBe(405);
      }
      const body = Buffer.concat([command("refs/heads/main"), flushPkt]);
      const disguised = post(receivePack, body).replace(
        receivePack,
        `${receivePack}?service=git-upload-pack`,
      );
      expect((await raw([disguised, body])).body).toContain("Push refused");
    });

    test("ATTACKS 56: of the headers git sees the protocol's version, by pattern, and nothing else", async () => {
      const path = `/${name}.git/info/refs?service=git-upload-pack`;
      const asked = (header: string) => raw([get(path, undefined, `${header}\r\n`)]);
      expect((await asked("git-protocol: version=2")).body).toContain("version 2");
      for (const header of [
        "git-protocol: version=2:$(id)",
        "git-protocol: version=9",
        "git-protocol: x\tversion=2",
      ]) {
        expect((await asked(header)).body).not.toContain("version 2");
      }
      const body = Buffer.concat([command(own), flushPkt]);
      const wrong = { "content-type": "text/plain" };
      expect((await raw([post(receivePack, body, wrong), body])).status).toBe(415);
    });

    test("ATTACKS 57: a credential that is missing, another's or ended is 401, and is nowhere written", async () => {
      const path = `/${name}.git/info/refs?service=git-upload-pack`;
      const another = "scoped-token-of-another-sandbox";
      const basic = (text: string) => `Basic ${Buffer.from(text).toString("base64")}`;
      expect((await raw([get(path, basic(`x:${token}`))])).status).toBe(200);
      for (const authorization of [
        `Bearer ${another}`,
        basic(`x:${another}`),
        basic(token),
        "Bearer",
        "Digest x",
        "",
      ]) {
        const answer = await raw([get(path, authorization)]);
        expect(answer.status).toBe(401);
        expect(answer.head).toContain("Basic realm=");
        expect(answer.head + answer.body).not.toContain(another);
      }
      tokenIsGood = false;
      expect((await raw([get(path)])).status).toBe(401);
      expect(logged.join("\n")).not.toContain("scoped-token");
    });

    if (kind === "remote") {
      test("ATTACKS 56, 57: the server sees headers of our own and the real credential; the sandbox sees neither", async () => {
        const smuggled = [
          "x-forwarded-for: 1.2.3.4",
          "x-gitlab-token: y",
          "cookie: session=1",
          "forwarded: for=x",
          "range: bytes=0-1",
          "user-agent: evil",
          "connection: close, x-kept",
          "proxy-authorization: Basic eA==",
          "accept: text/html",
        ];
        const path = `/${name}.git/info/refs?service=git-upload-pack`;
        const answer = await raw([get(path, undefined, `${smuggled.join("\r\n")}\r\n`)]);
        expect(answer.status).toBe(200);
        const line = pktLine(`${zero} ${tip} ${own}\0 report-status side-band-64k`);
        expect((await push(line)).body).toContain(`ok ${own}`);
        for (const { headers } of standIn?.requests ?? []) {
          const known = ["accept", "accept-encoding", "authorization", "connection", "content-length"];
          known.push("content-type", "git-protocol", "host", "transfer-encoding", "user-agent");
          expect(Object.keys(headers).filter((header) => !known.includes(header))).toEqual([]);
          expect(headers.authorization).toBe(`Basic ${realCredential}`);
          expect(headers["user-agent"]).toBe("git/ccw-server");
        }
        expect(standIn?.requests.length).toBe(4);
        expect(JSON.stringify([answer, logged])).not.toContain(realCredential);
      });

      test("ATTACKS 60: nothing but git is reached with the real credential", async () => {
        const api = [
          "/api/v3/user",
          "/graphql",
          `/${name}/pulls`,
          `/${name}.git/info/lfs/locks`,
          "/user.git/keys",
        ];
        for (const path of api) {
          expect((await raw([get(path)])).status).toBe(404);
          expect((await raw([get(path).replace("GET", "POST")])).status).toBe(404);
        }
        expect(standIn?.requests).toEqual([]);
      });
    }

    test("ATTACKS 58: a pack with a bad tree is refused by git's own check, and nothing of it is kept", async () => {
      const path = await clone();
      const blob = (await gitIn(path, "rev-parse", "HEAD:README.md")).out;
      const entry = Buffer.concat([Buffer.from("100644 .git\0"), Buffer.from(blob, "hex")]);
      await Bun.write(join(folder, "tree"), entry);
      const hash = ["hash-object", "-w", "--literally", "-t", "tree", join(folder, "tree")];
      const tree = (await gitIn(path, ...hash)).out;
      const bad = (await gitIn(path, "commit-tree", "-m", "bad", "-p", "HEAD", tree)).out;
      const { err } = await gitIn(path, "push", "origin", `${bad}:${own}`);
      expect(err).toContain("hasDotgit");
      const bare = join(folder, "repositories/demo.git");
      expect((await gitIn(bare, "cat-file", "-e", bad)).exitCode).not.toBe(0);
      expect(refusals).toHaveLength(1);
    });

    test("ATTACKS 58: a pack over the limit is refused", async () => {
      const path = await clone();
      await commit(
        path,
        Buffer.concat(Array.from({ length: 80 }, () => crypto.getRandomValues(new Uint8Array(65536)))),
      );
      const { exitCode, err } = await gitIn(path, "push", "origin", `HEAD:${own}`);
      expect(exitCode).toBe(1);
      expect(err).toMatch(/exceeds maximum allowed size|is over 4 MiB/);
      expect(await hosted.branchExists("demo", "claude/fix-1")).toBe(false);
    });

    test("a client that takes no report is told by a status that its push was refused", async () => {
      const answer = await push(pktLine(`${zero} ${tip} refs/heads/main\0 side-band-64k`));
      expect(answer.status).toBe(403);
      expect(answer.body).toContain("Push refused: refs/heads/main");
    });

    test("a filter that costs the appliance much is refused", async () => {
      await expect(clone("--filter=sparse:oid=main:README.md")).rejects.toThrow("not supported");
    });

    test("one sandbox cannot keep more than its share of git at work", async () => {
      const stall = () => raw([post(receivePack, command(own), { "content-length": "1000" })], 0, impatient);
      const refs = get(`/${name}.git/info/refs?service=git-upload-pack`);
      const stalled = await until("there is no room for one more", async () => {
        const asked = Array.from({ length: 16 }, stall);
        if ((await raw([refs], 0, impatient)).status === 503) return asked;
        await Promise.all(asked);
        return undefined;
      });
      for (const { status } of await Promise.all(stalled)) expect(status).toBe(400);
      expect((await raw([refs], 0, impatient)).status).toBe(200);
    });

    test("where the grants cannot be read, nothing is let through and nothing is told", async () => {
      grantsFail = true;
      const answer = await raw([get(`/${name}.git/info/refs?service=git-upload-pack`)]);
      expect(answer.status).toBe(500);
      expect(answer.body).not.toContain("database");
      expect(logged.join()).toContain("the database is closed");
    });

    test("a client that goes away ends its git", async () => {
      const client = connect(socket);
      await new Promise((resolve) => client.once("connect", resolve));
      const marked = Buffer.concat([command(own), flushPkt]);
      client.write(post(receivePack, marked, { "content-length": "100000" }));
      client.write(marked);
      client.write(Buffer.concat([Buffer.from("PACK"), Uint8Array.of(0, 0, 0, 2, 0, 0, 0, 9)]));
      const running = () => pidsWith(join(folder, "repositories")).length;
      await until("git runs", () => running() > 0);
      client.destroy();
      await until("git has ended", () => running() === 0);
      expect(await hosted.branchExists("demo", "claude/fix-1")).toBe(false);
    });
  });
}
