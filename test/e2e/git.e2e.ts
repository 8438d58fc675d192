import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SandboxId, TaskId } from "../../src/domain/ids.ts";
import { createGitServer } from "../../src/forge/git-server.ts";
import { createHostedRepositories, type HostedRepositories } from "../../src/forge/hosted.ts";
import { endpointAt } from "../../src/forge/repositories.ts";
import { createGitDoor } from "../../src/gateway/git/git-door.ts";
import { commandLines } from "../machine.ts";
import { until } from "../until.ts";

/** Large repositories through the door: time, memory, and a client that does not read. */

const megabytes = 200;
/** What the appliance's process may grow by while a pack of that size passes. */
const allowance = 80 * 1024 ** 2;
const sandbox = { id: "sbx_0000000000aaaaaaaaaa" as SandboxId, taskId: "tsk_0000000000aaaaaaaaaa" as TaskId };
const quiet = { info() {}, warn() {}, error() {} };
const token = "scoped";

let folder: string;
let server: Server;
let port: number;
let hosted: HostedRepositories;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "git-e2e-"));
  hosted = createHostedRepositories({ folder: join(folder, "repositories"), log: quiet, now: Date.now });
  await hosted.create("large");
  const path = await hosted.folderOf("large");
  const git = await createGitServer({ folder: join(folder, "server"), log: quiet });
  const door = createGitDoor({
    log: quiet,
    tokens: { tokenFor: () => token, matches: (_id, _purpose, given) => given === token },
    port: {
      grantFor: (_id, name) => ({
        name,
        right: { kind: "branch", branch: "work", force: false, delete: false },
        endpoint: endpointAt(git, path),
      }),
      refused() {},
    },
  });
  server = createServer((request, response) => {
    door(sandbox, request, response, (request.url ?? "").slice("/git".length)).catch(() =>
      response.destroy(),
    );
  });
  server.requestTimeout = 0;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("no port");
  port = address.port;
});

afterAll(async () => {
  server.close();
  await rm(folder, { recursive: true, force: true });
});

async function git(cwd: string, ...args: string[]): Promise<void> {
  const child = Bun.spawn(["git", "-c", "user.name=Bea", "-c", "user.email=bea@example.org", ...args], {
    cwd,
    env: { PATH: "/usr/local/bin:/usr/bin:/bin", HOME: folder, GIT_CONFIG_NOSYSTEM: "1" },
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  const err = await new Response(child.stderr).text();
  if ((await child.exited) !== 0) throw new Error(`git ${args.join(" ")}: ${err}`);
}

/** Runs it and returns how far this process grew above where it stood, in bytes, and how long it took. */
async function grownWhile(run: () => Promise<unknown>): Promise<{ grown: number; ms: number }> {
  Bun.gc(true);
  const before = process.memoryUsage.rss();
  const start = performance.now();
  let peak = before;
  const sampler = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage.rss());
  }, 20);
  await run().finally(() => clearInterval(sampler));
  return { grown: peak - before, ms: performance.now() - start };
}

const url = () => `http://git:${token}@127.0.0.1:${port}/git/large.git`;

test(
  "a pack of 200 MB is pushed and cloned without growing the appliance",
  async () => {
    const work = join(folder, "work");
    await git(folder, "init", "-q", "-b", "work", work);
    // Or the client's own search for deltas takes most of the time.
    await git(work, "config", "core.bigFileThreshold", "1m");
    for (let file = 0; file < megabytes / 10; file++) {
      const bytes = Array.from({ length: 160 }, () => crypto.getRandomValues(new Uint8Array(65536)));
      await Bun.write(join(work, `file-${file}`), Buffer.concat(bytes));
    }
    await git(work, "add", ".");
    await git(work, "commit", "-qm", "Large");
    const pushed = await grownWhile(() => git(work, "push", "-q", url(), "HEAD:refs/heads/work"));
    expect(await hosted.branchExists("large", "work")).toBe(true);
    const cloned = await grownWhile(() =>
      git(folder, "clone", "-q", "--no-checkout", "-b", "work", url(), "copy"),
    );
    const direct = await grownWhile(() =>
      git(
        folder,
        "clone",
        "-q",
        "--no-checkout",
        "-b",
        "work",
        `file://${join(folder, "repositories/large.git")}`,
        "copy2",
      ),
    );
    for (const [what, { grown, ms }] of Object.entries({ pushed, cloned, direct })) {
      console.log(`${what}: ${Math.round(ms)} ms, grew by ${Math.round(grown / 1024 ** 2)} MiB`);
    }
    expect(pushed.grown).toBeLessThan(allowance);
    expect(cloned.grown).toBeLessThan(allowance);
  },
  { timeout: 600_000 },
);

test(
  "a client that asks for 200 MB and does not read holds back git, not memory",
  async () => {
    const want = `0032want ${await hosted.tipOf("large", "work")}\n00000009done\n`;
    const client = connect(port, "127.0.0.1");
    await new Promise((resolve) => client.once("connect", resolve));
    client.pause();
    const { grown } = await grownWhile(async () => {
      client.write(
        [
          "POST /git/large.git/git-upload-pack HTTP/1.1",
          "host: door",
          `authorization: Bearer ${token}`,
          "content-type: application/x-git-upload-pack-request",
          `content-length: ${want.length}`,
          "",
          want,
        ].join("\r\n"),
      );
      await until("its git runs", () => uploads() > 0);
      await Bun.sleep(3000);
    });
    console.log(`unread: grew by ${Math.round(grown / 1024 ** 2)} MiB`);
    expect(grown).toBeLessThan(allowance);
    expect(uploads()).toBeGreaterThan(0);
    client.destroy();
    await until("its git has ended", () => uploads() === 0);
  },
  { timeout: 600_000 },
);

/** upload-pack processes that serve this test's repository. */
function uploads(): number {
  return commandLines().filter(({ line }) => line.includes("upload-pack") && line.includes(folder)).length;
}
