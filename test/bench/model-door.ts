import { mkdtemp, rm } from "node:fs/promises";
import { Agent, createServer, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startDemoModel } from "../../src/demo/serve-demo-model.ts";
import type { SandboxId, TaskId } from "../../src/domain/ids.ts";
import { createModelDoor } from "../../src/gateway/model/model-door.ts";
import { quantile, type Report, type Row, residentMiB, rounded } from "./figures.ts";

/**
 * `one`: a request at a time, while all streams run. `spread`: all streams begun one after another, 200 a second.
 * `burst`: all streams begun in the same instant, which shows how many requests a second each part can begin.
 */
const loads = ["one", "spread", "burst"] as const;
const ways = ["direct", "door"] as const;
const spreadMs = 5;
const streams = 200;
const rounds = 7;
const probes = 40;
const maxAddedMs = 5;
const loadsInWords =
  "one: a request at a time while all streams run; spread: 200 begun a second; burst: all in one instant";
const scoped = "scoped-token-of-the-bench";
const bodyBytes = 100_000;

/**
 * Time to the first byte of a streamed answer, straight from the endpoint and through the model door, side by side.
 * Endpoint (the demo model), door and load are three processes. Requests have the size of the agent's first one.
 */
export async function benchModelDoor(): Promise<Report> {
  const folder = await mkdtemp(join(tmpdir(), "model-door-bench-"));
  const endpoint = await child("endpoint");
  const [baseUrl = "", key = ""] = endpoint.words;
  const socketPath = join(folder, "door.sock");
  const door = await child("door", socketPath, baseUrl, key);
  const { hostname, port } = new URL(baseUrl);
  const pool = { keepAlive: true, maxSockets: Number.POSITIVE_INFINITY };
  const targets = {
    direct: { host: hostname, port, path: "/v1/messages", key, agent: new Agent(pool) },
    door: { socketPath, path: "/model/v1/messages", key: scoped, agent: new Agent(pool) },
  };
  const noTimes = (): Record<(typeof ways)[number], number[]> => ({ direct: [], door: [] });
  const times = { one: noTimes(), spread: noTimes(), burst: noTimes() };

  try {
    for (const way of Object.values(targets)) for (let i = 0; i < 10; i++) await firstByte(way, "hello");
    const doorIdleMiB = await residentMiB(door.pid);
    let doorPeakMiB = doorIdleMiB;
    for (let round = 0; round < rounds; round++) {
      for (const name of round % 2 === 0 ? (["direct", "door"] as const) : (["door", "direct"] as const)) {
        for (const load of ["spread", "burst"] as const) {
          const leaving = new AbortController();
          const opened: Promise<number>[] = [];
          for (let i = 0; i < streams; i++) {
            opened.push(firstByte(targets[name], "demo: slow 120", leaving.signal));
            if (load === "spread") await Bun.sleep(spreadMs);
          }
          times[load][name].push(...(await Promise.all(opened)));
          if (load === "spread") {
            for (let i = 0; i < probes; i++) times.one[name].push(await firstByte(targets[name], "hello"));
          }
          doorPeakMiB = Math.max(doorPeakMiB, await residentMiB(door.pid));
          leaving.abort();
          await Bun.sleep(200);
        }
      }
    }
    const rows = loads.flatMap((load) => ways.map((way) => rowOf(load, way, times[load][way])));
    const addedMs = quantile(times.one.door, 0.5) - quantile(times.one.direct, 0.5);
    const memory = { "door, idle": rounded(doorIdleMiB), "door, most": rounded(doorPeakMiB) };
    return {
      name: `model door, time to first byte, ${streams} streams at once`,
      tables: [
        { caption: `${rounds} rounds; ${loadsInWords}`, rows },
        { caption: "resident memory, MiB", rows: [memory] },
      ],
      promises: [
        {
          what: `model door, added to the first byte while ${streams} streams run, median`,
          unit: "ms",
          measured: rounded(addedMs, 2),
          limit: maxAddedMs,
        },
      ],
    };
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

function rowOf(load: (typeof loads)[number], way: (typeof ways)[number], times: number[]): Row {
  return {
    load,
    way,
    requests: times.length,
    "median ms": rounded(quantile(times, 0.5), 2),
    "p99 ms": rounded(quantile(times, 0.99), 2),
  };
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
      admit: () => ({ kind: "pass", promptId: undefined }),
      limited() {},
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
}
