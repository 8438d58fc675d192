import { readdir } from "node:fs/promises";
import { z } from "zod";
import type { LoadJob } from "./egress-load.ts";
import { type OriginPorts, originPortsSchema } from "./egress-origin.ts";
import { maxGrowthMiB, measureSlowEnds } from "./egress-slow-ends.ts";
import { type Part, withStage } from "./egress-stage.ts";
import { startDoor, wayTo } from "./egress-ways.ts";
import { cpuSeconds, median, type Report, residentMiB, rounded } from "./figures.ts";

export interface EgressSoakOptions {
  minutes: number;
  /** Of each slow transfer; undefined: there are none. */
  megabytes: number | undefined;
}

const soakSampleMs = 5_000;
const soakAtOnce = 24;
/** After the mixed load: longer than a connection to an origin is kept for another request. */
const restMs = 20_000;
/** What lives in a server that has seen traffic, and lives on: kept connections to origins, caches' timers. */
const maxLeft = 10;

/** What lives inside the door's process, by the collector's count. */
const insideSchema = z.object({ timers: z.number(), sockets: z.number(), heapMiB: z.number() });
const countsSchema = z.record(
  z.string(),
  z.object({ fine: z.number(), wrong: z.number(), firstWrong: z.string() }),
);

/** How the egress door's memory takes large bodies with a slow end, and what a long mixed load leaves behind. */
export async function benchEgressSoak({ minutes, megabytes }: EgressSoakOptions): Promise<Report> {
  return withStage(async (stage) => {
    const origin = await stage.startPart("egress-origin.ts", { cores: "load" });
    const load = await stage.startPart("egress-load.ts", { cores: "load" });
    const ports = originPortsSchema.parse(origin.hello);

    const slowEnds =
      megabytes === undefined ? undefined : await measureSlowEnds({ stage, load, ports, megabytes });
    const door = await startDoor(stage, ports);
    const soak = await soakRows({ door, load, ports, minutes });
    return {
      name: "egress door: slow ends, and a long mixed load",
      tables: [...(slowEnds?.tables ?? []), ...soak.tables],
      promises: [...(slowEnds?.promises ?? []), ...soak.promises],
    };
  });
}

async function soakRows({
  door,
  load,
  ports,
  minutes,
}: {
  door: Part;
  load: Part;
  ports: OriginPorts;
  minutes: number;
}) {
  const sample = async () => ({
    MiB: await residentMiB(door.pid),
    descriptors: (await readdir(`/proc/${door.pid}/fd`)).length,
    ...(await door.ask("count", insideSchema)),
  });
  const way = wayTo(door);
  const { plain, tls, inspected } = ports;
  const mix = async (seconds: number, each: () => Promise<unknown>) => {
    const job: LoadJob = { kind: "mix", way, ports: { plain, tls, inspected }, atOnce: soakAtOnce };
    await load.ask(job, z.unknown());
    const until = performance.now() + seconds * 1000;
    while (performance.now() < until) {
      await Bun.sleep(Math.min(soakSampleMs, Math.max(0, until - performance.now())));
      await each();
    }
    return load.ask({ kind: "release" } satisfies LoadJob, countsSchema);
  };

  // Everything once, so that what is loaded once and kept is no leak.
  await mix(5, async () => {});
  await Bun.sleep(restMs);
  const before = await sample();
  const samples: (typeof before)[] = [];
  const cpuBefore = await cpuSeconds(door.pid);
  const counts = await mix(minutes * 60, async () => samples.push(await sample()));
  const cores = ((await cpuSeconds(door.pid)) - cpuBefore) / (minutes * 60);
  await Bun.sleep(restMs);
  const after = await sample();

  const third = Math.max(1, Math.floor(samples.length / 3));
  const keys = ["MiB", "heapMiB", "descriptors", "sockets", "timers"] as const;
  const names = {
    MiB: "resident MiB",
    heapMiB: "heap MiB",
    descriptors: "descriptors",
    sockets: "sockets",
    timers: "timers",
  };
  const trend = keys.map((key) => {
    const figures = samples.map((one) => one[key]);
    const first = median(figures.slice(0, third));
    const last = median(figures.slice(-third));
    return {
      what: names[key],
      before: rounded(before[key]),
      "first third": rounded(first),
      "last third": rounded(last),
      trend: rounded(last - first),
      most: rounded(Math.max(...figures)),
      after: rounded(after[key]),
    };
  });
  const wrong = Object.values(counts).reduce((sum, count) => sum + count.wrong, 0);
  return {
    tables: [
      {
        caption: `${minutes} min of mixed load by ${soakAtOnce} clients, ${rounded(cores, 2)} cores; medians of samples every ${soakSampleMs / 1000} s`,
        rows: trend,
      },
      {
        caption: "visits of that load",
        rows: Object.entries(counts).map(([visit, { fine, wrong, firstWrong }]) => ({
          visit,
          fine,
          wrong,
          "the first that went wrong": firstWrong,
        })),
      },
    ],
    promises: [
      {
        what: "egress door, growth under a long mixed load, last third against first",
        unit: "MiB",
        measured: trend[0]?.trend ?? Number.NaN,
        limit: maxGrowthMiB,
      },
      ...(["descriptors", "sockets", "timers"] as const).map((key) => ({
        what: `egress door, ${key} left by that load`,
        unit: "",
        measured: after[key] - before[key],
        limit: maxLeft,
      })),
      { what: "egress door, visits that did not go as they should", unit: "", measured: wrong, limit: 0 },
    ],
  };
}
