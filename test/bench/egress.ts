import {
  type Bench,
  figureNames,
  getsAtOnce,
  measureRound,
  openTunnels,
  type RateName,
  type Round,
  rateNames,
  tunnelsAtOnce,
} from "./egress-measure.ts";
import { originPortsSchema } from "./egress-origin.ts";
import { withStage } from "./egress-stage.ts";
import { installProxies, type WayName } from "./egress-ways.ts";
import { median, type Report, type Row, rounded } from "./figures.ts";

/** Squid's rate may be so many times the door's at most. */
const maxOfSquid = { tunnels: 1, bytes: 1, gets: 2 };
const maxMiB = 100;

const captions: Record<RateName, string> = {
  gets: `GETs in the clear on ${getsAtOnce} connections`,
  tunnels: `new tunnels, ${tunnelsAtOnce} at once: each with a TLS handshake, one small request, end`,
  hellos: `new tunnels, ${tunnelsAtOnce} at once: each with a ClientHello, one record back, end`,
  inspectedGets: `GETs over TLS on ${getsAtOnce} connections: the door reads them, the others pass them unread`,
  inspectedTunnels: `new tunnels, ${tunnelsAtOnce} at once, with TLS and one request: the door ends the TLS, the others pass it`,
};

/**
 * The egress door beside squid and tinyproxy: one origin, one load generator, one run, `rounds` in turns. The proxy
 * has one core to itself, load and origin share the rest; each proxy is started afresh in each round.
 */
export async function benchEgress({
  rounds,
  ways,
  ...options
}: { rounds: number; ways: readonly WayName[] } & Pick<Bench, "seconds" | "megabytes">): Promise<Report> {
  await installProxies(ways);
  const found = new Map<WayName, Round[]>(ways.map((way) => [way, []]));
  await withStage(async (stage) => {
    const origin = await stage.startPart("egress-origin.ts", { cores: "load" });
    const load = await stage.startPart("egress-load.ts", { cores: "load" });
    const ports = originPortsSchema.parse(origin.hello);
    for (let round = 0; round < rounds; round++) {
      for (const way of round % 2 === 0 ? ways : ways.toReversed()) {
        found.get(way)?.push(await measureRound(way, { stage, load, ports, ...options }));
      }
    }
  });

  const middle = (way: WayName, figure: (round: Round) => number) =>
    median((found.get(way) ?? []).map(figure));
  const ofSquid = (way: WayName, figure: (round: Round) => number) =>
    rounded(middle(way, figure) / middle("squid", figure), 2);
  const rateRow = (way: WayName, name: RateName): Row => {
    const [perSecond, p50, p99, cpuUs] = figureNames.map((key) =>
      middle(way, ({ rates }) => rates[name][key]),
    );
    return {
      way,
      "a second": rounded(perSecond ?? Number.NaN, 0),
      "of squid's": ofSquid(way, ({ rates }) => rates[name].perSecond),
      "p50 ms": rounded(p50 ?? Number.NaN, 2),
      "p99 ms": rounded(p99 ?? Number.NaN, 2),
      "proxy's CPU µs each": rounded(cpuUs ?? Number.NaN),
    };
  };
  const promise = (what: string, limit: number, figure: (round: Round) => number) => ({
    what: `egress door, squid's ${what} over the door's`,
    unit: "×",
    measured: rounded(middle("squid", figure) / middle("door", figure), 2),
    limit,
  });

  return {
    name: `egress door beside squid and tinyproxy, medians of ${rounds} rounds`,
    tables: [
      ...rateNames.map((name) => ({
        caption: captions[name],
        rows: ways.map((way) => rateRow(way, name)),
      })),
      {
        caption: "through tunnels, MB/s",
        rows: ways.map((way) => ({
          way,
          "one, down": rounded(
            middle(way, ({ bytes }) => bytes.down),
            0,
          ),
          "of squid's": ofSquid(way, ({ bytes }) => bytes.down),
          "one, up": rounded(
            middle(way, ({ bytes }) => bytes.up),
            0,
          ),
          "of squid's, up": ofSquid(way, ({ bytes }) => bytes.up),
          "four, down": rounded(
            middle(way, ({ bytes }) => bytes.down4),
            0,
          ),
          "proxy's CPU ms a GB": rounded(
            middle(way, ({ bytes }) => bytes.cpuMsPerGB),
            0,
          ),
        })),
      },
      {
        caption: `resident memory, MiB: started, and with ${openTunnels} tunnels; failures of all loads`,
        rows: ways.map((way) => ({
          way,
          idle: rounded(middle(way, ({ memory }) => memory.idleMiB)),
          "with tunnels": rounded(middle(way, ({ memory }) => memory.openMiB)),
          failed: (found.get(way) ?? []).reduce((sum, { failed }) => sum + failed, 0),
        })),
      },
    ],
    promises: [
      promise("new tunnels a second", maxOfSquid.tunnels, ({ rates }) => rates.tunnels.perSecond),
      promise("throughput of a tunnel down", maxOfSquid.bytes, ({ bytes }) => bytes.down),
      promise("throughput of a tunnel up", maxOfSquid.bytes, ({ bytes }) => bytes.up),
      promise("GETs a second", maxOfSquid.gets, ({ rates }) => rates.gets.perSecond),
      {
        what: `egress door, resident with ${openTunnels} tunnels`,
        unit: "MiB",
        measured: rounded(middle("door", ({ memory }) => memory.openMiB)),
        limit: maxMiB,
      },
    ],
  };
}
