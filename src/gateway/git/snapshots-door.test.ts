import { afterAll, beforeAll, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../../../test/until.ts";
import type { SandboxId, TaskId } from "../../domain/ids.ts";
import { flushPkt, pktLine } from "../../domain/pkt-line.ts";
import { createGitServer } from "../../forge/git-server.ts";
import { createSnapshots } from "../../forge/snapshots.ts";
import { createGitDoor } from "./git-door.ts";

/** A task's door to its own snapshots, with bytes on the sandbox's socket where git would not send them. */

setDefaultTimeout(180_000);

const sandbox = { id: "sbx_0000000000aaaaaaaaaa" as SandboxId, taskId: "tsk_0000000000aaaaaaaaaa" as TaskId };
const neighbour = "tsk_0000000000bbbbbbbbbb" as TaskId;
const token = "scoped-token-of-this-sandbox";
const quiet = { info() {}, warn() {}, error() {} };

for (const format of ["sha1", "sha256"] as const) {
  describe(`snapshots of a ${format} repository`, () => {
    let folder: string;
    let socket: string;
    let url: string;
    let tip: string;
    let servers: Server[];
    let work: string;
    let snapshots: ReturnType<typeof createSnapshots>;
    let refusals: { repository: string; ref: string; reason: string }[] = [];
    const zero = "0".repeat(format === "sha1" ? 40 : 64);

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), "snapshots-door-"));
      const mirror = join(folder, "mirror.git");
      work = join(folder, "work");
      await git(folder, "init", "-q", "--bare", `--object-format=${format}`, "-b", "main", mirror);
      await git(folder, "init", "-q", `--object-format=${format}`, "-b", "main", work);
      for (let at = 0; at < 30; at++) await Bun.write(join(work, `file-${at}`), `${at}\n`.repeat(500));
      await git(work, "add", ".");
      await git(work, "commit", "-qm", "First");
      await git(work, "push", "-q", mirror, "main");
      tip = await git(work, "rev-parse", "HEAD");
      snapshots = createSnapshots({
        folder: join(folder, "snapshots"),
        git: await createGitServer({ folder: join(folder, "server"), log: quiet }),
        log: quiet,
        ...{ maxBytes: 4 * 1024 ** 2, maxSnapshots: 12, manyPacks: 5 },
      });
      const door = createGitDoor({
        log: quiet,
        tokens: { tokenFor: () => token, matches: (_id, _purpose, given) => given === token },
        port: {
          grantFor(_id, name) {
            const place = { "snapshots.invalid/0": 0, "snapshots.invalid/session": "session" as const }[name];
            if (place === undefined) return undefined;
            const objects = place === 0 ? mirror : undefined;
            const endpoint = snapshots.endpointOf(sandbox.taskId, place, objects);
            return { name, right: { kind: "snapshots" }, endpoint };
          },
          refused: (_id, repository, ref, reason) => void refusals.push({ repository, ref, reason }),
        },
        patienceMs: 30_000,
      });
      const listener = () =>
        createServer((request, response) => {
          door(sandbox, request, response, (request.url ?? "").slice("/git".length)).catch(() =>
            response.destroy(),
          );
        });
      socket = join(folder, "door.sock");
      servers = [listener().listen(socket), listener().listen(0, "127.0.0.1")];
      await Promise.all(servers.map((server) => new Promise((resolve) => server.once("listening", resolve))));
      const address = servers[1]?.address();
      if (typeof address !== "object" || address === null) throw new Error("no port");
      url = `http://git:${token}@127.0.0.1:${address.port}/git/snapshots.invalid`;
    });

    afterAll(async () => {
      for (const server of servers) server.close();
      await snapshots.close();
      await rm(folder, { recursive: true, force: true });
    });

    beforeEach(async () => {
      refusals = [];
      await snapshots.remove(sandbox.taskId);
    });

    async function git(cwd: string, ...args: string[]): Promise<string> {
      const { exitCode, out, err } = await tryGit(cwd, ...args);
      if (exitCode !== 0) throw new Error(err);
      return out;
    }
    async function tryGit(cwd: string, ...args: string[]) {
      const child = Bun.spawn(["git", "-c", "user.name=Bea", "-c", "user.email=bea@example.org", ...args], {
        cwd,
        env: { PATH: "/usr/local/bin:/usr/bin:/bin", HOME: folder, GIT_CONFIG_NOSYSTEM: "1" },
        ...{ stdin: "ignore", stdout: "pipe", stderr: "pipe" },
      });
      const [out, err] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
      ]);
      return { exitCode: await child.exited, out: out.trim(), err };
    }
    let made = 0;
    /** A commit of all files, untracked ones too, that touches neither index nor branch. */
    async function snapshot(content = `turn ${++made}\n`): Promise<string> {
      await Bun.write(join(work, "file-7"), content);
      await Bun.write(join(work, "untracked"), content);
      await git(work, "add", "-A");
      const tree = await git(work, "write-tree");
      return git(work, "commit-tree", "-p", "HEAD", "-m", "Snapshot", tree);
    }
    const push = (commit: string, name: string, place = "0") =>
      tryGit(work, "push", `${url}/${place}`, `${commit}:refs/ccw/snapshots/${name}`);
    const own = () => join(folder, "snapshots", sandbox.taskId, "0.git");
    /** The empty text, too, where nothing was ever pushed. */
    const refs = async () =>
      (await tryGit(folder, `--git-dir=${own()}`, "for-each-ref", "--format=%(refname)")).out;

    /** What git would send to move these refs, with a pack of no objects. */
    async function send(lines: string[], place = "0", path = "/git/snapshots.invalid"): Promise<string> {
      const head = Buffer.from("5041434b0000000200000000", "hex");
      const pack = Buffer.concat([head, new Bun.CryptoHasher(format).update(head).digest()]);
      const capabilities = ` report-status side-band-64k object-format=${format}`;
      const commands = lines.map((line, at) => pktLine(at === 0 ? `${line}\0${capabilities}` : line));
      const body = Buffer.concat([...commands, flushPkt, pack]);
      const client = connect(socket);
      const chunks: Buffer[] = [];
      client.on("data", (chunk: Buffer) => chunks.push(chunk)).on("error", () => undefined);
      const closed = new Promise((resolve) => client.once("close", resolve));
      client.write(
        `POST ${path}/${place}/git-receive-pack HTTP/1.1\r\nhost: door\r\nconnection: close\r\nauthorization: Bearer ${token}\r\ncontent-type: application/x-git-receive-pack-request\r\ncontent-length: ${body.length}\r\n\r\n`,
      );
      client.write(body);
      await closed;
      return Buffer.concat(chunks).toString("latin1");
    }

    test("a sandbox pushes a snapshot for what it changed, and another one fetches it", async () => {
      const commit = await snapshot();
      expect(await push(commit, "prm0a")).toMatchObject({ exitCode: 0 });
      expect(await snapshots.holds(sandbox.taskId, 0, [commit])).toEqual(new Set([commit]));
      // Two files, a tree, the commit, and what the first file was before: not the other 29.
      expect(await git(own(), "count-objects", "-v")).toMatch(/in-pack: [345]\n/);
      const fresh = join(folder, `fresh-${++made}`);
      await git(folder, "init", "-q", `--object-format=${format}`, fresh);
      await git(fresh, "fetch", "-q", `${url}/0`, commit);
      expect(await git(fresh, "show", "FETCH_HEAD:untracked")).toContain("turn");
      expect(refusals).toEqual([]);
    });

    test("what was there is neither moved nor deleted", async () => {
      const first = await snapshot();
      const second = await snapshot();
      await push(first, "prm0a");
      const moved = await tryGit(work, "push", "-f", `${url}/0`, `${second}:refs/ccw/snapshots/prm0a`);
      expect(moved.err).toContain("a snapshot is not changed");
      const deleted = await tryGit(work, "push", `${url}/0`, ":refs/ccw/snapshots/prm0a");
      expect(deleted.err).toContain("a snapshot is not deleted");
      // A client that claims that it is new.
      expect(await send([`${zero} ${tip} refs/ccw/snapshots/prm0a`])).toContain(
        "ng refs/ccw/snapshots/prm0a",
      );
      expect(await git(own(), "rev-parse", "refs/ccw/snapshots/prm0a")).toBe(first);
    });

    // What decides knows nothing of the format.
    for (const ref of format === "sha256"
      ? ["refs/heads/main"]
      : [
          ...["refs/heads/main", "refs/tags/v1", "refs/ccw/snapshots", "refs/ccw/snapshots/"],
          ...["refs/ccw/snapshots/a/b", "refs/ccw/snapshots/../../heads/main", "refs/ccw/snapshots/a.lock"],
          ...[
            "refs/ccw/snapshots/a\n",
            "refs/ccw/snapshots/é",
            "refs/ccw/snapshots/ａ",
            "refs/CCW/snapshots/a",
          ],
          ...[
            "refs/ccw/snapshotsa",
            " refs/ccw/snapshots/a",
            "HEAD",
            `refs/ccw/snapshots/${"a".repeat(101)}`,
          ],
          ...["refs/ccw/snapshots/a b", "refs/ccw/snapshots/-a", "refs/ccw/snapshots/@{a}"],
        ]) {
      test(`nothing but a new snapshot is taken: ${JSON.stringify(ref.slice(0, 60))}`, async () => {
        expect(await send([`${zero} ${tip} ${ref}`])).toContain("only refs/ccw/snapshots/ and a name");
        const mixed = await send([`${zero} ${tip} refs/ccw/snapshots/good`, `${zero} ${tip} ${ref}`]);
        expect(mixed).toContain("refused together with another ref");
        expect(await refs()).toBe("");
        expect(refusals).toHaveLength(2);
      });
    }

    test("one ref twice, and many at once, are refused whole", async () => {
      const twice = [1, 2].map(() => `${zero} ${tip} refs/ccw/snapshots/a`);
      expect(await send(twice)).toContain("named more than once");
      const many = Array.from({ length: 11 }, (_, at) => `${zero} ${tip} refs/ccw/snapshots/a${at}`);
      expect(await send(many)).toContain("at most 10 snapshots");
      expect(await refs()).toBe("");
    });

    test("another task's snapshots, and places that are none, are not found", async () => {
      const commit = await snapshot();
      const other = snapshots.endpointOf(neighbour, 0, undefined);
      expect(other).toBeDefined();
      for (const place of [
        ...["1", "00", "0.git/", "session/../0", "%30", "-1", "session0", `../${neighbour}/0`, "0/../1"],
      ]) {
        const answer = await send([`${zero} ${tip} refs/ccw/snapshots/a`], place);
        expect({ place, status: answer.split(" ")[1] }).toEqual({ place, status: "404" });
      }
      expect(await snapshots.holds(neighbour, 0, [commit])).toEqual(new Set());
      const fetched = await send([`${zero} ${tip} refs/ccw/snapshots/a`], "0", `/git/${neighbour}`);
      expect(fetched).toContain(" 404 ");
    });

    test("the conversation has a place of its own, with no objects of others", async () => {
      const home = join(folder, `home-${++made}`);
      await git(folder, "init", "-q", home);
      await Bun.write(join(home, "session.jsonl"), "{}\n");
      await git(home, "add", ".");
      await git(home, "commit", "-qm", "Session");
      const pushed = await tryGit(home, "push", `${url}/session`, "HEAD:refs/ccw/snapshots/prm0a");
      expect(pushed).toMatchObject({ exitCode: 0 });
      const head = await git(home, "rev-parse", "HEAD");
      expect(await snapshots.holds(sandbox.taskId, "session", [head])).toEqual(new Set([head]));
      expect(await snapshots.holds(sandbox.taskId, 0, [head])).toEqual(new Set());
    });

    test("a pack with more than the task has room for is refused, and nothing of it is kept", async () => {
      const noise = Array.from({ length: 80 }, () => crypto.getRandomValues(new Uint8Array(65536)));
      await Bun.write(join(work, "big"), Buffer.concat(noise));
      const commit = await snapshot();
      expect((await push(commit, "big")).exitCode).toBe(1);
      expect(await snapshots.holds(sandbox.taskId, 0, [commit])).toEqual(new Set());
      await rm(join(work, "big"));
    });

    test("what a task may keep is bounded, over all its pushes, and the agent is told", async () => {
      for (let at = 0; at < 3; at++) {
        const noise = Array.from({ length: 24 }, () => crypto.getRandomValues(new Uint8Array(65536)));
        await Bun.write(join(work, "big"), Buffer.concat(noise));
        const { exitCode, err } = await push(await snapshot(), `big${at}`);
        if (at < 2) expect({ at, exitCode }).toEqual({ at, exitCode: 0 });
        else expect(err).toMatch(/maximum allowed size|keeps no more than 4/);
      }
      await rm(join(work, "big"));
      for (let at = 0; at < 12; at++) await send([`${zero} ${tip} refs/ccw/snapshots/n${at}`]);
      expect(await send([`${zero} ${tip} refs/ccw/snapshots/n12`])).toContain(
        "keeps no more than 12 snapshots",
      );
    });

    test("pushes of one task go one after the other, and all come through", async () => {
      const commits = [];
      for (let at = 0; at < 6; at++) commits.push(await snapshot());
      const pushed = await Promise.all(commits.map((commit, at) => push(commit, `at${at}`)));
      expect(pushed.map(({ exitCode }) => exitCode)).toEqual([0, 0, 0, 0, 0, 0]);
    });

    test("many packs become one in the background, and every snapshot is there still", async () => {
      const commits = [];
      for (let at = 0; at < 8; at++) {
        const commit = await snapshot();
        commits.push(commit);
        expect(await push(commit, `at${at}`)).toMatchObject({ exitCode: 0 });
      }
      const packs = async () =>
        (await readdir(join(own(), "objects/pack"))).filter((name) => name.endsWith(".pack")).length;
      await until("they are one", async () => (await packs()) <= 5);
      expect(await snapshots.holds(sandbox.taskId, 0, commits)).toEqual(new Set(commits));
      expect(await git(own(), "fsck", "--no-dangling")).toBe("");
    });

    test("the mirror that snapshots borrow from is named for as long as they are there", async () => {
      await push(await snapshot(), "prm0a");
      expect(snapshots.borrowed()).toEqual([join(folder, "mirror.git")]);
      await snapshots.remove(sandbox.taskId);
      expect(snapshots.borrowed()).toEqual([]);
      expect(await readdir(join(folder, "snapshots"))).toEqual([]);
    });
  });
}
