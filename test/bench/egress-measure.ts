import { z } from "zod";
import type { LoadJob } from "./egress-load.ts";
import type { OriginPorts } from "./egress-origin.ts";
import type { Part, Stage } from "./egress-stage.ts";
import { rateSchema } from "./egress-way.ts";
import { startWay, type WayName } from "./egress-ways.ts";
import { cpuSeconds, residentMiB } from "./figures.ts";

export const getsAtOnce = 32;
export const tunnelsAtOnce = 16;
export const openTunnels = 1_500;
const warmUpSeconds = 0.5;
const settleMs = 500;

/** Names of the rates, each with its latencies and its processor time. */
export const rateNames = ["gets", "tunnels", "hellos", "inspectedGets", "inspectedTunnels"] as const;
export type RateName = (typeof rateNames)[number];
export const figureNames = ["perSecond", "p50", "p99", "cpuUs"] as const;

/** What one round has found of one way. */
export interface Round {
  rates: Record<RateName, Record<(typeof figureNames)[number], number>>;
  /** MB/s; `cpuMsPerGB` is the proxy's processor time, `down`. */
  bytes: Record<"down" | "up" | "down4" | "cpuMsPerGB", number>;
  memory: Record<"idleMiB" | "openMiB", number>;
  failed: number;
}

export interface Bench {
  stage: Stage;
  load: Part;
  ports: OriginPorts;
  /** Of each rate that is measured. */
  seconds: number;
  /** Through each tunnel whose throughput is measured. */
  megabytes: number;
}

const bytesSchema = z.object({ seconds: z.number(), bytes: z.number() });
const heldSchema = z.object({ open: z.number(), failures: z.array(z.string()) });
const releasedSchema = z.object({ lost: z.number() });

/** One round of one way, with a proxy started for it. Memory comes first, while the proxy is new. */
export async function measureRound(name: WayName, bench: Bench): Promise<Round> {
  const { stage, load, ports, seconds, megabytes } = bench;
  const { wayIn: way, proxy } = await startWay(name, stage, ports);
  const cpu = async () => (proxy === undefined ? 0 : cpuSeconds(proxy.pid));
  const memory = async () => (proxy === undefined ? 0 : residentMiB(proxy.pid));
  let failed = 0;
  const tell = (kind: string, failures: string[]) => {
    failed += failures.length;
    if (failures[0] !== undefined)
      console.error(`${name}, ${kind}: ${failures.length} failed: ${failures[0]}`);
  };

  const rate = async (job: LoadJob & { kind: "gets" | "tunnels" }) => {
    await load.ask({ ...job, seconds: warmUpSeconds }, rateSchema);
    const before = await cpu();
    const answer = await load.ask(job, rateSchema);
    tell(job.kind, answer.failures);
    return {
      perSecond: answer.count / answer.seconds,
      p50: answer.p50,
      p99: answer.p99,
      cpuUs: (((await cpu()) - before) / answer.count) * 1e6,
    };
  };
  const gets = (port: number, through: "http" | "tunnel") =>
    rate({ kind: "gets", way, port, through, atOnce: getsAtOnce, seconds });
  const tunnels = (port: number, inside: "tls" | "hello") =>
    rate({ kind: "tunnels", way, port, inside, atOnce: tunnelsAtOnce, seconds });
  const throughput = async (direction: "down" | "up", atOnce: number) => {
    const bytesEach = Math.ceil((megabytes * 1e6) / atOnce);
    const job: LoadJob = { kind: "bytes", way, port: ports.raw, direction, atOnce, bytesEach };
    const before = await cpu();
    const answer = await load.ask(job, bytesSchema);
    const gigabytes = answer.bytes / 1e9;
    return {
      perSecond: (gigabytes * 1e3) / answer.seconds,
      cpuMsPerGB: (((await cpu()) - before) * 1e3) / gigabytes,
    };
  };

  try {
    await Bun.sleep(settleMs);
    const idleMiB = await memory();
    const hold: LoadJob = { kind: "hold", way, port: ports.tls, tunnels: openTunnels };
    tell("hold", (await load.ask(hold, heldSchema)).failures);
    await Bun.sleep(settleMs);
    const openMiB = await memory();
    failed += (await load.ask({ kind: "release" } satisfies LoadJob, releasedSchema)).lost;
    await Bun.sleep(settleMs);

    const rates = {
      gets: await gets(ports.plain, "http"),
      tunnels: await tunnels(ports.tls, "tls"),
      hellos: await tunnels(ports.hello, "hello"),
      inspectedGets: await gets(ports.inspected, "tunnel"),
      inspectedTunnels: await tunnels(ports.inspected, "tls"),
    };
    const down = await throughput("down", 1);
    const up = await throughput("up", 1);
    const down4 = await throughput("down", 4);
    return {
      rates,
      bytes: {
        down: down.perSecond,
        up: up.perSecond,
        down4: down4.perSecond,
        cpuMsPerGB: down.cpuMsPerGB,
      },
      memory: { idleMiB, openMiB },
      failed,
    };
  } finally {
    await proxy?.end();
  }
}
