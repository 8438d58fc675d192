import { z } from "zod";
import type { LoadJob } from "./egress-load.ts";
import type { OriginPorts } from "./egress-origin.ts";
import type { Part, Stage } from "./egress-stage.ts";
import { startDoor, wayTo } from "./egress-ways.ts";
import { cpuSeconds, type Report, residentMiB, rounded } from "./figures.ts";

/** What the door may grow by. */
export const maxGrowthMiB = 32;
const paceMiB = 128;
const sampleMs = 100;
/** After a body, for what closes connections on the other side, and for the memory allocator. */
const settleMs = 3_000;

const bodies = [
  { kind: "tunnel", through: "tunnel", port: "tls" },
  { kind: "plain HTTP", through: "http", port: "plain" },
  { kind: "inspected HTTPS", through: "tunnel", port: "inspected" },
] as const;
const ends = [
  { what: "down, slow reader", direction: "down", slow: "client" },
  { what: "down, slow writer", direction: "down", slow: "origin" },
  { what: "up, slow reader", direction: "up", slow: "origin" },
  { what: "up, slow writer", direction: "up", slow: "client" },
] as const;

const transferSchema = z.object({ seconds: z.number(), error: z.string() });

/** Bodies of a good size, each through a fresh door, with one end that is slower than the other. */
export async function measureSlowEnds({
  stage,
  load,
  ports,
  megabytes,
}: {
  stage: Stage;
  load: Part;
  ports: OriginPorts;
  megabytes: number;
}): Promise<Pick<Report, "tables" | "promises">> {
  const transfers: Awaited<ReturnType<typeof transferRow>>[] = [];
  for (const body of bodies) {
    for (const end of ends) {
      const door = await startDoor(stage, ports);
      transfers.push(await transferRow({ door, load, ports, body, end, megabytes }));
      await door.end();
    }
  }
  return {
    tables: [
      {
        caption: `bodies of ${megabytes} MB with one end at ${paceMiB} MiB/s; resident memory of a fresh door, MiB`,
        rows: transfers,
      },
    ],
    promises: [
      {
        what: "egress door, growth over the worst slow transfer",
        unit: "MiB",
        measured: Math.max(...transfers.map(({ growth }) => growth)),
        limit: maxGrowthMiB,
      },
      {
        what: "egress door, bodies that did not arrive whole",
        unit: "of 12",
        measured: transfers.filter(({ outcome }) => outcome !== "whole").length,
        limit: 0,
      },
    ],
  };
}

async function transferRow({
  door,
  load,
  ports,
  body,
  end,
  megabytes,
}: {
  door: Part;
  load: Part;
  ports: OriginPorts;
  body: (typeof bodies)[number];
  end: (typeof ends)[number];
  megabytes: number;
}) {
  const way = wayTo(door);
  const job = (bytes: number): LoadJob => ({
    kind: "transfer",
    way,
    port: ports[body.port],
    through: body.through,
    direction: end.direction,
    slow: end.slow,
    bytes,
    pace: paceMiB,
  });
  // The same with a few bytes first: what the first request of its kind loads is not growth.
  await load.ask(job(1_000_000), transferSchema);
  const before = await residentMiB(door.pid);
  const cpuBefore = await cpuSeconds(door.pid);
  let peak = before;
  const sampling = setInterval(() => {
    const keep = (now: number) => {
      peak = Math.max(peak, now);
    };
    // A door that has died is noticed by the load.
    residentMiB(door.pid).then(keep, () => {});
  }, sampleMs);
  const { seconds, error } = await load.ask(job(megabytes * 1_000_000), transferSchema);
  clearInterval(sampling);
  const cpu = (await cpuSeconds(door.pid)) - cpuBefore;
  await Bun.sleep(settleMs);
  return {
    body: body.kind,
    ends: end.what,
    seconds: rounded(seconds),
    "CPU s": rounded(cpu),
    before: rounded(before),
    most: rounded(peak),
    after: rounded(await residentMiB(door.pid)),
    outcome: error === "" ? "whole" : error,
    growth: rounded(peak - before),
  };
}
