import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { guestInSandbox } from "../../src/domain/session.ts";
import {
  type Appliance,
  containersOf,
  type EngineUnderTest,
  enginesUnderTest,
  freshFolder,
  reaches,
  submit,
} from "../e2e/appliance.ts";
import {
  cpuSeconds,
  median,
  preciseNow,
  quantile,
  type Report,
  type Row,
  residentMiB,
  rounded,
} from "./figures.ts";
import { listenForNoise } from "./noise.ts";
import { withAppliance } from "./with-appliance.ts";

/**
 * From an agent's word to a reader on the WebSocket: a real sandbox with the real guest (translation, spool, batches),
 * its door, the store, the live route, and the client that the web page uses. Only the agent is another: one that says
 * when it spoke (talking-agent.ts), put into the sandbox by the environment's set-up script. One server takes all runs,
 * so that its memory would show what is never given back.
 */
const runs = 5;
const seconds = 30;
const perSecond = 500;
const maxP99Ms = 50;
/** Over 100 s of load. */
const maxGrowthMiB = 10;

interface Run {
  delays: number[];
  /** The first part of each delay: until the appliance, about to write it, gave the event its time. */
  toStore: number[];
  /** Shares of one core. */
  serverCpu: number;
  guestCpu: number;
  /** Events in one frame, on average. */
  perFrame: number;
}

/** When, and the processor seconds of two processes by then. */
interface Used {
  at: number;
  server: number;
  guest: number;
}

export async function benchEventPath(): Promise<Report> {
  const [engine] = enginesUnderTest();
  if (engine === undefined) throw new Error("there is no engine");
  const dataFolder = freshFolder();
  try {
    return await withAppliance(engine, { dataFolder }, (appliance) =>
      measured(appliance, engine, dataFolder),
    );
  } finally {
    rmSync(dataFolder, { recursive: true, force: true });
  }
}

async function measured(appliance: Appliance, engine: EngineUnderTest, dataFolder: string): Promise<Report> {
  const { client } = appliance;
  const setupScript = installer(readFileSync(new URL("./talking-agent.ts", import.meta.url), "utf8"));
  await client.read(client.api.environments.$post({ json: { name: "talking", setupScript } }));
  await oneRun(appliance, engine, 3); // the warm-up
  const resident = [await residentMiB(appliance.pid)];
  const sampling = setInterval(async () => resident.push(await residentMiB(appliance.pid)), 1000);
  const noise = await listenForNoise(join(dataFolder, "noise"));
  const all: Run[] = [];
  let heard: Row[] = [];
  try {
    for (let i = 0; i < runs; i++) all.push(await oneRun(appliance, engine, seconds));
  } finally {
    clearInterval(sampling);
    heard = await noise.end();
  }
  return reportOf(engine.name, all, resident, heard);
}

/** Puts the agent where the guest finds it first; the appliance's own executable is the runtime for it. */
function installer(agent: string): string {
  return [
    "cat > /opt/agent.ts <<'END_OF_AGENT'",
    agent,
    "END_OF_AGENT",
    "cat > /usr/local/sbin/claude <<'END_OF_SCRIPT'",
    "#!/bin/sh",
    `BUN_BE_BUN=1 exec ${guestInSandbox} /opt/agent.ts`,
    "END_OF_SCRIPT",
    "chmod +x /usr/local/sbin/claude",
  ].join("\n");
}

async function oneRun(appliance: Appliance, engine: EngineUnderTest, lasting: number): Promise<Run> {
  const expected = lasting * perSecond;
  const task = await submit(appliance, {
    prompt: `${lasting} ${perSecond}`,
    repositories: [],
    environment: "talking",
  });
  const leaving = new AbortController();
  const delays: number[] = [];
  const toStore: number[] = [];
  let frames = 0;
  let guestPid = 0;
  let began: Used | undefined;
  let ended: Used | undefined;
  const used = async (): Promise<Used> => ({
    at: preciseNow(),
    server: await cpuSeconds(appliance.pid),
    guest: await cpuSeconds(guestPid),
  });
  for await (const events of appliance.client.followTask(task.id, 0, leaving.signal)) {
    const received = preciseNow();
    const before = delays.length;
    for (const { at, body } of events) {
      if (body.kind === "assistant_text") {
        const said = Number.parseFloat(body.text);
        delays.push(received - said);
        toStore.push(at - said);
      }
      if (body.kind === "finished" && body.outcome === "failed") throw new Error(body.text);
      if (body.kind === "limit_reached" || body.kind === "sandbox_died") throw new Error(body.reason);
    }
    if (delays.length > before) frames++;
    if (began === undefined && delays.length > 0) {
      guestPid = await guestPidOf(engine, task.id);
      began = await used();
    }
    // Before the end, since the guest ends soon after its last event.
    if (ended === undefined && delays.length >= expected * 0.9) ended = await used();
    if (delays.length >= expected) leaving.abort();
  }
  if (delays.length !== expected) throw new Error(`${delays.length} of ${expected} events came`);
  if (began === undefined || ended === undefined) throw new Error("no event came");
  const wall = (ended.at - began.at) / 1000;
  await reaches(appliance, task.id, "completed");
  return {
    delays,
    toStore,
    serverCpu: (ended.server - began.server) / wall,
    guestCpu: (ended.guest - began.guest) / wall,
    perFrame: delays.length / frames,
  };
}

async function guestPidOf({ docker, ...engine }: EngineUnderTest, taskId: string): Promise<number> {
  const [container] = await containersOf({ docker, ...engine }, taskId);
  if (container === undefined) throw new Error("the sandbox has no container");
  return (await docker.getContainer(container.Id).inspect()).State.Pid;
}

function reportOf(engine: string, all: Run[], resident: number[], noise: Row[]): Report {
  const rows = all.map(({ delays, toStore, serverCpu, guestCpu, perFrame }, i) => ({
    run: i + 1,
    events: delays.length,
    "p50 ms": rounded(median(delays)),
    "p99 ms": rounded(quantile(delays, 0.99)),
    "most ms": rounded(Math.max(...delays)),
    "p50 to store": rounded(median(toStore)),
    "p99 to store": rounded(quantile(toStore, 0.99)),
    "events a frame": rounded(perFrame),
    "server cores": rounded(serverCpu, 2),
    "guest cores": rounded(guestCpu, 2),
  }));
  // The heap breathes by far more than a leak would add: the least of each third is what is left after collecting.
  const third = Math.ceil(resident.length / 3);
  const [first = 0, second = 0, last = 0] = [0, 1, 2].map((i) =>
    Math.min(...resident.slice(i * third, (i + 1) * third)),
  );
  return {
    name: `event path, agent → store → WebSocket, ${perSecond} events/s, on ${engine}`,
    tables: [
      { caption: `${runs} runs of ${seconds} s, each a task of its own`, rows },
      {
        caption: "resident memory of the server, MiB",
        rows: [
          {
            "after warm-up": rounded(resident[0] ?? 0),
            "least, first third": rounded(first),
            "second third": rounded(second),
            "last third": rounded(last),
            most: rounded(Math.max(...resident)),
          },
        ],
      },
      { caption: "the machine meanwhile, as a process that only waits and writes finds it", rows: noise },
    ],
    promises: [
      {
        what: "event path, p99, median of the runs",
        unit: "ms",
        measured: median(rows.map((row) => row["p99 ms"])),
        limit: maxP99Ms,
      },
      {
        what: "event path, growth of the server's memory, least of the last third over the first's",
        unit: "MiB",
        measured: rounded(last - first),
        limit: maxGrowthMiB,
      },
    ],
  };
}
