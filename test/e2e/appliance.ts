import { afterAll } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Docker from "dockerode";
import WebSocket from "ws";
import { type Client, createClient, type TaskJson } from "../../src/client.ts";
import { type TaskEvent, type TaskEventBody, taskEventSchema } from "../../src/domain/event.ts";

/** The compiled executable, started as an operator starts it, and spoken to as a client does. */
export interface Appliance {
  url: string;
  token: string;
  client: Client;
  dataFolder: string;
  /** What it printed so far. */
  output(): string;
  pid: number;
  exited: Promise<number>;
  stop(): Promise<number>;
  killHard(): Promise<void>;
}

export interface EngineUnderTest {
  name: string;
  socket: string;
  docker: Docker;
}

export const executable = required("CCW_TEST_EXECUTABLE");

/** Both engines, as the runner found them. A missing one fails the file: the product promises both. */
export function enginesUnderTest(): EngineUnderTest[] {
  const list = required("CCW_TEST_ENGINES")
    .split(",")
    .map((pair) => {
      const [name = "", socket = ""] = pair.split("=");
      return { name, socket, docker: new Docker({ socketPath: socket }) };
    });
  const names = list
    .map(({ name }) => name)
    .sort()
    .join();
  if (names !== "docker,podman")
    throw new Error(`CCW_TEST_ENGINES must name podman and docker, not ${names}`);
  return list;
}

export function required(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === "")
    throw new Error(`${name} is not set: run the scenarios by \`./ccw test\``);
  return value;
}

export function freshFolder(): string {
  return mkdtempSync(join(tmpdir(), "ccw-e2e-"));
}

export async function startAppliance(options: {
  engine: EngineUnderTest | string;
  dataFolder: string;
  env?: Record<string, string>;
  argv?: string[];
  /** A command that the server's own is given to. */
  under?: string[];
}): Promise<Appliance> {
  const { engine, dataFolder, env = {}, argv = [], under = [] } = options;
  const socket = typeof engine === "string" ? engine : engine.socket;
  rmSync(join(dataFolder, "server.json"), { force: true });
  folders.add(dataFolder);
  let printed = "";
  const command = [...under, executable, "start", "--data", dataFolder, "--port", "0", ...argv];
  const child = Bun.spawn(command, {
    cwd: tmpdir(),
    env: {
      ...{ PATH: process.env["PATH"] ?? "", HOME: dataFolder, CCW_ENGINE_SOCKET: socket },
      // A task that is done is completed at once, and its sandbox sleeps.
      ...{ CCW_IDLE_MINUTES: "0", ...env },
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  servers.add(child);
  for (const stream of [child.stdout, child.stderr]) {
    void (async () => {
      for await (const chunk of stream.pipeThrough(new TextDecoderStream())) printed += chunk;
    })();
  }
  const file = join(dataFolder, "server.json");
  await until("the server answers", async () => {
    if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}: ${printed}`);
    return existsSync(file) && readFileSync(file, "utf8").endsWith("\n");
  }).catch((thrown: unknown) => {
    // It would hold the data folder against whoever tries again.
    child.kill("SIGKILL");
    throw thrown;
  });
  const { url } = JSON.parse(readFileSync(file, "utf8")) as { url: string };
  const token = readFileSync(join(dataFolder, "cli-token"), "utf8");
  return {
    url,
    token,
    client: createClient({
      url,
      token,
      openSocket: (address, headers) => new WebSocket(address, { headers }),
    }),
    dataFolder,
    output: () => printed,
    pid: child.pid,
    exited: child.exited,
    async stop() {
      child.kill("SIGTERM");
      return child.exited;
    },
    async killHard() {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}

export async function until<Value>(
  what: string,
  probe: () => Value | undefined | false | Promise<Value | undefined | false>,
  seconds = 240,
): Promise<Value> {
  const end = Date.now() + seconds * 1000;
  while (Date.now() < end) {
    const value = await probe();
    if (value !== undefined && value !== false) return value;
    await Bun.sleep(50);
  }
  throw new Error(`did not happen within ${seconds} s: ${what}`);
}

export interface Submission {
  prompt: string;
  repositories?: { name: string; baseBranch?: string }[];
  environment?: string;
  agent?: string;
  mode?: "act" | "plan";
  pullRequest?: "none" | "draft" | "ready";
}

/** The data folders of all that were started here: what sleeps on an engine is found by them. */
const folders = new Set<string>();
const servers = new Set<Bun.Subprocess>();
// Set by the test runner alone: what else starts appliances removes by itself what they leave.
if (process.env["NODE_ENV"] === "test")
  afterAll(async () => {
    // This comes before whatever a file does at its end, and a server that runs would go on with its tasks.
    await Promise.all([...servers].map(endServer));
    await removeLeftOvers();
  });

export async function submit({ client }: Appliance, task: Submission): Promise<TaskJson> {
  return client.read(client.api.tasks.$post({ json: { repositories: [{ name: "demo" }], ...task } }));
}

export async function taskOf({ client }: Appliance, id: string): Promise<TaskJson> {
  return (await client.read(client.api.tasks[":id"].$get({ param: { id } }))).task;
}

/** Waits until the task is in one of these states; fails at once when it has ended in another. */
export function reaches(appliance: Appliance, id: string, ...states: TaskJson["state"][]): Promise<TaskJson> {
  return until(
    `task ${id} becomes ${states.join(" or ")}`,
    async () => {
      const task = await taskOf(appliance, id).catch(() => undefined);
      if (task === undefined) return false;
      if (states.includes(task.state)) return task;
      if (["completed", "failed", "cancelled"].includes(task.state)) {
        throw new Error(`task ${id} is ${task.state} instead of ${states.join(" or ")}: ${task.detail}`);
      }
      return false;
    },
    400,
  );
}

/** The whole transcript, page by page. */
export async function eventsOf({ client }: Appliance, id: string): Promise<TaskEvent[]> {
  const all: TaskEvent[] = [];
  for (;;) {
    const page = await client.read(
      client.api.tasks[":id"].events.$get({
        param: { id },
        query: { after: all.at(-1)?.seq ?? 0, limit: 1000 },
      }),
    );
    if (page.length === 0) return all;
    all.push(...taskEventSchema.array().parse(page));
  }
}

export type EventOf<Kind extends TaskEventBody["kind"]> = Extract<TaskEventBody, { kind: Kind }>;

export async function bodiesOf<Kind extends TaskEventBody["kind"]>(
  appliance: Appliance,
  id: string,
  kind: Kind,
): Promise<EventOf<Kind>[]> {
  const bodies = (await eventsOf(appliance, id)).map(({ body }) => body);
  return bodies.filter((body): body is EventOf<Kind> => body.kind === kind);
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export async function run(
  argv: string[],
  options: { cwd?: string; env?: Record<string, string> } = {},
): Promise<{ code: number; out: string; err: string }> {
  const child = Bun.spawn(argv, {
    cwd: options.cwd ?? tmpdir(),
    env: { PATH: process.env["PATH"] ?? "", HOME: tmpdir(), GIT_TERMINAL_PROMPT: "0", ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, out, err };
}

/** Removes the sandboxes of all appliances that were started here, asleep or left by a scenario that failed. */
export async function removeLeftOvers(): Promise<void> {
  await Promise.all(enginesUnderTest().map(removeLeftOversOf));
}

async function endServer(server: Bun.Subprocess): Promise<void> {
  server.kill("SIGTERM");
  const hard = setTimeout(() => server.kill("SIGKILL"), 30_000);
  await server.exited;
  clearTimeout(hard);
}

/** Again where something is left: a server that was killed may have asked the engine for one more, or to stop one. */
async function removeLeftOversOf({ docker }: EngineUnderTest): Promise<void> {
  const filters = { label: ["ccw.appliance"] };
  for (let round = 0; round < 5; round++) {
    const all = await docker.listContainers({ all: true, filters });
    const ours = all.filter(({ Mounts }) =>
      Mounts.some(({ Source }) => [...folders].some((folder) => Source.startsWith(`${folder}/`))),
    );
    if (ours.length === 0) return;
    for (const { Id } of ours)
      await docker
        .getContainer(Id)
        .remove({ force: true })
        .catch(() => {});
    await Bun.sleep(500);
  }
}

/** Waits until the task's container is there and does not run. */
export function sleeps(engine: EngineUnderTest, taskId: string): Promise<unknown> {
  return until("its sandbox sleeps", async () => {
    const containers = await containersOf(engine, taskId);
    return containers.length === 1 && containers[0]?.State === "exited";
  });
}

/** Containers of one task on the engine. */
export async function containersOf(
  { docker }: EngineUnderTest,
  taskId: string,
): Promise<Docker.ContainerInfo[]> {
  return docker.listContainers({ all: true, filters: { label: [`ccw.task=${taskId}`] } });
}
