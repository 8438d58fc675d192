import { afterAll, afterEach, expect, test } from "bun:test";
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import {
  type Appliance,
  bodiesOf,
  enginesUnderTest,
  executable,
  freshFolder,
  reaches,
  run,
  startAppliance,
  submit,
  taskOf,
  until,
} from "./appliance.ts";

/** Broken machines, wrong settings, failing parts: one clear message each, a fitting exit code, and nothing lost. */
const engine = enginesUnderTest()[0];
if (engine === undefined) throw new Error("no engine");
const closers: (() => unknown)[] = [];
const folders: string[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});
afterAll(async () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function newFolder(): string {
  const folder = freshFolder();
  folders.push(folder);
  return folder;
}

async function appliance(options: Partial<Parameters<typeof startAppliance>[0]> = {}): Promise<Appliance> {
  const started = await startAppliance({ engine: engine?.socket ?? "", dataFolder: newFolder(), ...options });
  closers.push(() => started.stop());
  return started;
}

/** Runs `start` with settings that cannot work; it must end by itself. */
const failingStart = (argv: string[], env: Record<string, string> = {}) =>
  run(["timeout", "240", executable, "start", ...argv], {
    env: { CCW_ENGINE_SOCKET: engine.socket, ...env },
  });

function expectWords(
  { code, out, err }: { code: number; out: string; err: string },
  exitCode: number,
  ...words: string[]
): void {
  expect(err).toStartWith("error: ");
  for (const word of words) expect(err).toContain(word);
  expect(err).not.toMatch(/\n\s+at |node_modules|\$bunfs/);
  expect(out).toBe("");
  expect(code).toBe(exitCode);
}

const unavailable = 69;
const conflict = 4;
const usage = 2;

test("a second server on one data folder is refused, and the first goes on", async () => {
  const first = await appliance();
  expectWords(
    await failingStart(["--data", first.dataFolder, "--port", "0"]),
    conflict,
    "uses the data folder",
    "stop it first",
  );
  expect((await fetch(`${first.url}/api/health`)).status).toBe(200);
});

test("a port in use is named, with what to do", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  closers.push(() => server.close());
  await until("listening", () => server.listening);
  const address = server.address();
  const port = typeof address === "object" ? String(address?.port) : "";
  expectWords(
    await failingStart(["--data", newFolder(), "--port", port]),
    conflict,
    `Port ${port}`,
    "--port 0",
  );
});

test("an address that is not this machine's is named", async () => {
  expectWords(
    await failingStart(["--data", newFolder(), "--port", "0", "--host", "203.0.113.7"]),
    unavailable,
    "203.0.113.7",
    "--host 0.0.0.0",
  );
});

test("the port is this machine's own, unless --host opens it to the LAN; then too nothing answers a stranger", async () => {
  // 127.0.0.2 is an address of this machine like those of its network cards: only a wildcard listens there.
  const elsewhere = ({ url }: Appliance, path: string) =>
    fetch(`http://127.0.0.2:${new URL(url).port}${path}`);
  const closed = await appliance();
  await expect(elsewhere(closed, "/api/health")).rejects.toThrow();
  const open = await appliance({ argv: ["--host", "0.0.0.0"] });
  expect((await elsewhere(open, "/api/health")).status).toBe(200);
  for (const path of ["/", "/api/tasks", "/git/demo.git/info/refs?service=git-upload-pack"]) {
    expect((await elsewhere(open, path)).status).toBe(401);
  }
});

test("a data folder that cannot be made or written to is named", async () => {
  expectWords(await failingStart(["--data", "/proc/ccw", "--port", "0"]), unavailable, "/proc/ccw", "--data");
  const file = join(newFolder(), "a-file");
  writeFileSync(file, "");
  expectWords(await failingStart(["--data", file, "--port", "0"]), unavailable, file);
});

test("a corrupt database is named and left as it is", async () => {
  const folder = newFolder();
  writeFileSync(join(folder, "ccw.sqlite"), "not a database ".repeat(1000));
  expectWords(
    await failingStart(["--data", folder, "--port", "0"]),
    unavailable,
    "is damaged",
    "Nothing was changed",
  );
  expect(readFileSync(join(folder, "ccw.sqlite"), "utf8")).toStartWith("not a database");
});

test("a setting that does not exist is named", async () => {
  const folder = newFolder();
  writeFileSync(join(folder, "ccw.toml"), "[http]\nprot = 80\n");
  expectWords(
    await failingStart(["--data", folder, "--port", "0"]),
    usage,
    "ccw.toml",
    '"prot"',
    "README.md",
  );
});

test("a disk that is full before the start is named", async () => {
  const folder = newFolder();
  await mountTmpfs(folder, "64k");
  await run(["sh", "-c", `head -c 1000000 /dev/zero > ${folder}/filler`]);
  const result = await failingStart(["--data", folder, "--port", "0"]);
  expect(result.err).toMatch(/^error: .*(full|space|cannot be)/);
  expect(result.err).not.toMatch(/\n\s+at /);
  expect(result.code).not.toBe(0);
});

test("a disk that fills while tasks run: submitting says so, and all goes on when there is space again", async () => {
  const folder = newFolder();
  await mountTmpfs(folder, "24m");
  const server = await appliance({ dataFolder: folder });
  const before = await submit(server, { prompt: "demo: slow 12" });
  await reaches(server, before.id, "running");
  await run(["sh", "-c", `cat /dev/zero > ${folder}/filler`]);
  const big = "x".repeat(900_000);
  const refused = await until("no more space", async () =>
    submit(server, { prompt: big }).then(
      () => false as const,
      (thrown: Error) => thrown,
    ),
  );
  expect(refused.message).toContain("disk is full");
  expect((await fetch(`${server.url}/api/health`)).status).toBe(200);
  await Bun.sleep(2000);
  rmSync(join(folder, "filler"));
  await reaches(server, before.id, "completed");
  const after = await submit(server, { prompt: "demo: fix-test" });
  await reaches(server, after.id, "completed");
}, 600_000);

test("a disk that is full at the push: the task waits with its work, and hands it over by itself when there is room", async () => {
  const server = await appliance();
  const repository = join(server.dataFolder, "repositories/demo.git");
  const task = await submit(server, { prompt: "demo: slow 40" });
  await reaches(server, task.id, "running");
  const copy = join(newFolder(), "demo.git");
  await run(["cp", "-a", repository, copy]);
  await mountTmpfs(repository, "4m");
  await run(["cp", "-a", `${copy}/.`, repository]);
  await run(["sh", "-c", `cat /dev/zero > ${repository}/filler`]);
  const { paused } = await reaches(server, task.id, "paused", "failed");
  expect(paused).toMatchObject({ why: "no_space", reason: expect.stringContaining("the disk is full") });
  expect(await bodiesOf(server, task.id, "pushed")).toEqual([]);
  rmSync(join(repository, "filler"));
  await until("its work is handed over", async () => (await taskOf(server, task.id)).state === "completed");
  expect((await bodiesOf(server, task.id, "pushed")).at(-1)).toMatchObject({ repository: "demo" });
  expect(await bodiesOf(server, task.id, "resume_requested")).toEqual([]);
}, 600_000);

test("an engine that is down: the server runs and says so, tasks wait, and run when it is back", async () => {
  const link = join(newFolder(), "engine.sock");
  const server = await appliance({ engine: link });
  const status = await server.client.read(server.client.api.status.$get());
  expect(status.engine.ok).toBe(false);
  expect(status.engine.text).toContain("engine");
  const task = await submit(server, { prompt: "demo: fix-test" });
  const notice = await until(
    "a notice",
    async () => (await bodiesOf(server, task.id, "appliance_notice"))[0],
  );
  expect(notice.text).toContain("The task waits and is tried again.");
  expect((await taskOf(server, task.id)).state).toBe("queued");
  await run(["ln", "-s", engine.socket, link]);
  await reaches(server, task.id, "completed");
}, 600_000);

test("an image that is missing is named, with the command that brings it", async () => {
  const server = await appliance();
  await server.client.read(
    server.client.api.environments.$post({ json: { name: "odd", image: "localhost/no/such:image" } }),
  );
  const task = await submit(server, { prompt: "x", environment: "odd" });
  const failed = await reaches(server, task.id, "failed");
  expect(failed.detail).toContain("localhost/no/such:image");
  expect(failed.detail).toMatch(/ccw-server image|ccw-server env edit/);
});

test("a model endpoint that refuses the connection fails the task with its address, and no key", async () => {
  const server = await appliance({
    env: { CCW_MODEL_BASE_URL: "http://127.0.0.1:9", CCW_MODEL_API_KEY: "sk-very-secret" },
  });
  expect((await server.client.read(server.client.api.status.$get())).model).toMatchObject({
    kind: "endpoint",
    source: "environment",
  });
  const created = await server.client.read(server.client.api.repositories.$post({ json: { name: "none" } }));
  expect(created.name).toBe("none");
  const task = await submit(server, { prompt: "hello", repositories: [] });
  // The CLI tries again for minutes; what matters is that each refusal names the endpoint.
  const notice = await until(
    "a notice of the agent",
    async () => (await bodiesOf(server, task.id, "notice"))[0],
  );
  expect(JSON.stringify(notice)).not.toContain("sk-very-secret");
  await server.client.read(server.client.api.tasks[":id"].cancel.$post({ param: { id: task.id } }));
  expect(server.output()).not.toContain("sk-very-secret");
}, 600_000);

test("a model endpoint that cuts its answer is survived by trying again", async () => {
  const server = await appliance();
  const cut = await submit(server, { prompt: "demo: cut 1" });
  await reaches(server, cut.id, "completed");
  const brokenOff = await submit(server, { prompt: "demo: broken-off 2" });
  await reaches(server, brokenOff.id, "completed");
  const notices = JSON.stringify(await bodiesOf(server, brokenOff.id, "notice"));
  expect(notices.match(/told to go on from there/g)).toHaveLength(2);
}, 600_000);

test("a model key on the page reaches the endpoint and nobody else", async () => {
  const seen: (string | null)[] = [];
  const endpoint = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request) {
      seen.push(request.headers.get("x-api-key"));
      return Response.json(
        { type: "error", error: { type: "authentication_error", message: "no such key" } },
        { status: 401 },
      );
    },
  });
  closers.push(() => endpoint.stop(true));
  const server = await appliance();
  const { client } = server;
  await client.read(
    client.api.model.$put({
      json: { kind: "endpoint", baseUrl: `http://127.0.0.1:${endpoint.port}`, secret: "sk-real-key" },
    }),
  );
  const task = await submit(server, { prompt: "hello" });
  const failed = await reaches(server, task.id, "failed");
  expect(seen).toContain("sk-real-key");
  expect(JSON.stringify([failed, await bodiesOf(server, task.id, "unknown")])).not.toContain("sk-real-key");
}, 600_000);

test("a sandbox that uses up its memory fails its own task with the reason", async () => {
  const server = await appliance();
  const { client } = server;
  await client.read(
    client.api.environments.$post({
      json: {
        name: "small",
        limits: { memoryBytes: 512 * 1024 * 1024 },
        setupScript: "python3 -c 'x = bytearray(2 * 1024**3)'\n",
      },
    }),
  );
  const task = await submit(server, { prompt: "x", environment: "small" });
  const failed = await reaches(server, task.id, "failed");
  expect(failed.detail).toMatch(/memory|137|Killed/i);
}, 600_000);

test("a task over its time ends with the limit as the reason", async () => {
  const server = await appliance();
  const { client } = server;
  await client.read(client.api.environments.$post({ json: { name: "brief", limits: { minutes: 1 } } }));
  const task = await submit(server, { prompt: "demo: slow 300", environment: "brief" });
  const failed = await reaches(server, task.id, "failed");
  expect(failed.detail).toContain("1 min, which is the limit");
}, 600_000);

test("the executable runs with no source tree and no node_modules in reach", async () => {
  const folder = newFolder();
  const copy = join(folder, "bin/ccw-server");
  mkdirSync(join(folder, "bin"));
  copyFileSync(executable, copy);
  await run(["chmod", "755", copy]);
  // A mount namespace in which the project's folder, the user's home and every global node_modules are empty.
  const root = join(import.meta.dir, "../..");
  const hidden = [root, "/root", "/home", "/usr/lib/node_modules", "/usr/local/lib/node_modules"];
  const hide = hidden
    .map((path) => `if [ -d ${path} ]; then mount -t tmpfs none ${path} || exit 9; fi`)
    .join("; ");
  const inside = (command: string) => ["unshare", "--mount", "sh", "-c", `${hide}; cd ${folder}; ${command}`];
  expect((await run(inside(`ls ${root} | wc -l`))).out.trim()).toBe("0");
  expect((await run(inside(`${copy} version`))).out).toMatch(/\d+\.\d+\.\d+/);

  const server = Bun.spawn(inside(`exec ${copy} start --data ${folder}/data --port 0`), {
    env: { PATH: process.env["PATH"] ?? "", CCW_ENGINE_SOCKET: engine.socket },
    stdio: ["ignore", "ignore", "ignore"],
  });
  closers.push(() => server.kill());
  const where = join(folder, "data/server.json");
  await until("the server answers", () => existsSync(where) && readFileSync(where, "utf8").endsWith("\n"));
  const { url } = JSON.parse(readFileSync(where, "utf8")) as { url: string };
  const token = readFileSync(join(folder, "data/cli-token"), "utf8");
  const page = await fetch(`${url}/`, { headers: { authorization: `Bearer ${token}` } });
  expect(await page.text()).toContain("<!doctype html>");
  const listed = await run(inside(`${copy} task list --json --data ${folder}/data`));
  expect(JSON.parse(listed.out)).toEqual([]);
  const images = await run(inside(`${copy} image list --json --data ${folder}/data`), {
    env: { CCW_ENGINE_SOCKET: engine.socket },
  });
  expect(JSON.parse(images.out)).toContainEqual(expect.objectContaining({ name: "slim", present: true }));
}, 600_000);

async function mountTmpfs(folder: string, size: string): Promise<void> {
  const { code, err } = await run(["mount", "-t", "tmpfs", "-o", `size=${size}`, "none", folder]);
  if (code !== 0) throw new Error(`a small disk cannot be made: ${err}`);
  closers.push(() => run(["umount", "-l", folder]));
}
