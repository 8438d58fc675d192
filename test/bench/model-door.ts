import { mkdtemp, readFile, rm } from "node:fs/promises";
import { Agent, createServer, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startDemoModel } from "../../src/demo/serve-demo-model.ts";
import type { SandboxId, TaskId } from "../../src/domain/ids.ts";
import { createModelDoor } from "../../src/gateway/model/model-door.ts";

/**
 * Time to the first byte of a streamed answer, straight from the endpoint and through the model door, side by side.
 * Endpoint (the demo model), door and load are three processes. Requests have the size of the agent's first one.
 */
export interface ModelDoorBench {
  name: "model-door";
  rounds: number;
  streams: number;
  rows: ModelDoorRow[];
  /** Resident memory of the door's process, before the first round and the most of all rounds. */
  doorIdleMiB: number;
  doorPeakMiB: number;
  /** By how much the door delays the first byte, at the median, of a request that comes while all streams run. */
  addedMs: number;
  targetMs: number;
  met: boolean;
}

export interface ModelDoorRow {
  /**
   * `one`: a request at a time, while all streams run. `spread`: all streams begun one after another, 200 a second.
   * `burst`: all streams begun in the same instant, which shows how many requests a second each part can begin.
   */
  load: (typeof loads)[number];
  way: "direct" | "door";
  requests: number;
  /** Over all requests, in milliseconds. */
  medianMs: number;
  p99Ms: number;
}

const loads = ["one", "spread", "burst"] as const;
const spreadMs = 5;
const streams = 200;
const rounds = 7;
const probes = 40;
const targetMs = 5;
const scoped = "scoped-token-of-the-bench";
const bodyBytes = 100_000;

export async function benchModelDoor(): Promise<ModelDoorBench> {
  const folder = await mkdtemp(join(tmpdir(), "model-door-bench-"));
  const endpoint = await child("endpoint");
  const [baseUrl = "", key = ""] = endpoint.words;
  const socketPath = join(folder, "door.sock");
  const door = await child("door", socketPath, baseUrl, key);
  const { hostname, port } = new URL(baseUrl);
  const pool = { keepAlive: true, maxSockets: Number.POSITIVE_INFINITY };
  const ways = {
    direct: { host: hostname, port, path: "/v1/messages", key, agent: new Agent(pool) },
    door: { socketPath, path: "/model/v1/messages", key: scoped, agent: new Agent(pool) },
  };
  const noTimes = (): Record<ModelDoorRow["way"], number[]> => ({ direct: [], door: [] });
  const times = { one: noTimes(), spread: noTimes(), burst: noTimes() };

  try {
    for (const way of Object.values(ways)) for (let i = 0; i < 10; i++) await firstByte(way, "hello");
    const doorIdleMiB = await residentMiB(door.pid);
    let doorPeakMiB = doorIdleMiB;
    for (let round = 0; round < rounds; round++) {
      for (const name of round % 2 === 0 ? (["direct", "door"] as const) : (["door", "direct"] as const)) {
        for (const load of ["spread", "burst"] as const) {
          const leaving = new AbortController();
          const opened: Promise<number>[] = [];
          for (let i = 0; i < streams; i++) {
            opened.push(firstByte(ways[name], "demo: slow 120", leaving.signal));
            if (load === "spread") await Bun.sleep(spreadMs);
          }
          times[load][name].push(...(await Promise.all(opened)));
          if (load === "spread") {
            for (let i = 0; i < probes; i++) times.one[name].push(await firstByte(ways[name], "hello"));
          }
          doorPeakMiB = Math.max(doorPeakMiB, await residentMiB(door.pid));
          leaving.abort();
          await Bun.sleep(200);
        }
      }
    }
    const rows = loads.flatMap((load) =>
      (["direct", "door"] as const).map((way) => rowOf(load, way, times[load][way])),
    );
    const addedMs = quantile(times.one.door, 0.5) - quantile(times.one.direct, 0.5);
    const met = addedMs <= targetMs;
    return { name: "model-door", rounds, streams, rows, doorIdleMiB, doorPeakMiB, addedMs, targetMs, met };
  } finally {
    door.kill();
    endpoint.kill();
    await rm(folder, { recursive: true });
  }
}

interface Way {
  host?: string;
  port?: string;
  socketPath?: string;
  path: string;
  key: string;
  agent: Agent;
}

/** Milliseconds until the first byte of the answer's body; a given signal says how long the stream is held open. */
function firstByte({ key, ...way }: Way, prompt: string, hold?: AbortSignal): Promise<number> {
  const messages = [{ role: "user", content: prompt }];
  const system = "x".repeat(bodyBytes);
  const tools = [{ name: "Bash" }];
  const body = JSON.stringify({ model: "claude-test", max_tokens: 9, stream: true, system, tools, messages });
  return new Promise((resolve, reject) => {
    const started = performance.now();
    let first: number | undefined;
    const headers = { "x-api-key": key, "content-type": "application/json", "content-length": body.length };
    const outgoing = request({ ...way, method: "POST", headers }, (answer) => {
      if (answer.statusCode !== 200) reject(new Error(`The answer was ${answer.statusCode}.`));
      answer.on("data", () => {
        first ??= performance.now() - started;
        if (hold !== undefined) resolve(first);
      });
      answer.on("end", () => resolve(first ?? Number.NaN));
      answer.on("error", () => {});
    });
    outgoing.on("error", (error) => (hold?.aborted === true ? undefined : reject(error)));
    hold?.addEventListener("abort", () => outgoing.destroy());
    outgoing.end(body);
  });
}

function rowOf(load: ModelDoorRow["load"], way: ModelDoorRow["way"], times: number[]): ModelDoorRow {
  return {
    load,
    way,
    requests: times.length,
    medianMs: round(quantile(times, 0.5)),
    p99Ms: round(quantile(times, 0.99)),
  };
}

function quantile(times: number[], share: number): number {
  return times.toSorted((a, b) => a - b)[Math.floor((times.length - 1) * share)] ?? Number.NaN;
}

function round(ms: number): number {
  return Math.round(ms * 100) / 100;
}

async function residentMiB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024);
}

/** This file once more, in another part; its first line says that it is ready. */
async function child(...part: string[]) {
  const run = Bun.spawn([process.execPath, import.meta.path, ...part], { stderr: "inherit" });
  const { value } = await run.stdout.getReader().read();
  return { pid: run.pid, words: new TextDecoder().decode(value).trim().split(" "), kill: () => run.kill() };
}

function runEndpoint(): void {
  const demo = startDemoModel();
  console.log(`${demo.baseUrl} ${demo.key}`);
}

function runDoor(socketPath: string, baseUrl: string, key: string): void {
  const door = createModelDoor({
    port: {
      endpointFor: () => ({ kind: "demo", baseUrl, credential: { header: "x-api-key", value: key } }),
      record() {},
    },
    tokens: { tokenFor: () => scoped, matches: (_id, _purpose, token) => token === scoped },
    log: { info() {}, warn() {}, error() {} },
    now: Date.now,
  });
  const sandbox = { id: "sbx_bench" as SandboxId, taskId: "tsk_bench" as TaskId };
  const server = createServer((incoming, response) => {
    void door.handle(sandbox, incoming, response, (incoming.url ?? "").replace(/^\/model/, ""));
  });
  server.listen(socketPath, () => console.log("ready"));
}

if (import.meta.main) {
  const [part, ...words] = process.argv.slice(2);
  if (part === "endpoint") runEndpoint();
  else if (part === "door") runDoor(words[0] ?? "", words[1] ?? "", words[2] ?? "");
  else {
    const result = await benchModelDoor();
    console.table(result.rows);
    console.log(JSON.stringify(result));
    process.exit(0);
  }
}
