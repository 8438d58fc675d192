import { writeFileSync } from "node:fs";
import { cpus, loadavg, totalmem } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { z } from "zod";
import { prepareParts } from "../parts.ts";
import { wayNames } from "./egress-ways.ts";
import type { Report } from "./figures.ts";

/**
 * `bun run bench [--only a|b|…|n] [--json]`: measures what the product promises, on the built executable
 * (`bun run build` first; e, f, h and j to m run the sources; they and g need no engine). Prints tables and writes dist/bench.json; with
 * --json that document goes to standard output and the tables to standard error. Engines and agent CLI as the
 * scenarios have them (test/parts.ts), or as CCW_TEST_ENGINES, CCW_TEST_CLAUDE and CCW_TEST_EXECUTABLE name them.
 */
const root = join(import.meta.dir, "../..");

const amount = z.coerce.number().positive();
const { values } = parseArgs({
  options: {
    only: { type: "string" },
    json: { type: "boolean" },
    /** Of e: what is compared (all), how often, and the length of each measurement. */
    ways: { type: "string" },
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "2" },
    /** Through each tunnel of e (1000), and as each slow body of f (2147.5, which is 2 GiB). */
    megabytes: { type: "string" },
    /** In the store of i. */
    events: { type: "string", default: "5000000" },
    /** Of mixed load in f. */
    minutes: { type: "string", default: "1" },
    /** Of f: the mixed load alone, without the slow bodies. */
    "no-bodies": { type: "boolean", default: false },
  },
});

const benches: Record<string, () => Promise<Report>> = {
  a: async () => (await import("./submit.ts")).benchSubmit(),
  b: async () => (await import("./event-path.ts")).benchEventPath(),
  c: async () => (await import("./idle.ts")).benchIdle(),
  d: async () => (await import("./model-door.ts")).benchModelDoor(),
  e: async () =>
    (await import("./egress.ts")).benchEgress({
      rounds: amount.parse(values.rounds),
      ways: z.array(z.enum(wayNames)).parse(values.ways?.split(",") ?? wayNames),
      seconds: amount.parse(values.seconds),
      megabytes: amount.parse(values.megabytes ?? 1_000),
    }),
  f: async () =>
    (await import("./egress-soak.ts")).benchEgressSoak({
      minutes: amount.parse(values.minutes),
      megabytes: values["no-bodies"] ? undefined : amount.parse(values.megabytes ?? 2_147.5),
    }),
  g: async () => (await import("./git-relay.ts")).benchGitRelay(),
  h: async () => (await import("./workspace.ts")).benchWorkspace({ rounds: amount.parse(values.rounds) }),
  i: async () => (await import("./resume.ts")).benchResume({ rounds: amount.parse(values.rounds) }),
  j: async () => (await import("./snapshots.ts")).benchSnapshots(),
  k: async () => (await import("./queue.ts")).benchQueue(),
  l: async () => (await import("./long-store.ts")).benchLongStore(),
  m: async () =>
    (await import("./search.ts")).benchSearch({
      events: amount.parse(values.events),
      rounds: amount.parse(values.rounds),
    }),
  n: async () => (await import("./watching.ts")).benchWatching(),
};
/** What runs on the executable, in sandboxes. */
const needParts = ["a", "b", "c", "d", "i", "n"];

const chosen = values.only === undefined ? Object.keys(benches) : values.only.split(",");
const unknown = chosen.find((key) => benches[key] === undefined);
if (unknown !== undefined) {
  console.error(`There is no benchmark ${unknown}. There are: ${Object.keys(benches).join(", ")}.`);
  process.exit(2);
}
const say = values.json === true ? console.error : console.log;

const given = ["CCW_TEST_ENGINES", "CCW_TEST_CLAUDE"].every((name) => process.env[name]);
const parts = given || !chosen.some((key) => needParts.includes(key)) ? undefined : await prepareParts(root);
Object.assign(process.env, {
  CCW_TEST_EXECUTABLE: join(root, "dist/ccw-server"),
  ...parts?.environment,
  ...process.env,
});

const began = Date.now();
const document = {
  at: new Date(began).toISOString(),
  machine: { cores: cpus().length, memoryGiB: Math.round(totalmem() / 1024 ** 3) },
  bun: Bun.version,
  /** Of the last minute: on a machine that does other work, the figures are worse than they could be. */
  loadAtStart: loadavg()[0],
  loadAtEnd: loadavg()[0],
  seconds: 0,
  reports: [] as Report[],
};
try {
  for (const key of chosen) {
    const report = await benches[key]?.();
    if (report === undefined) continue;
    document.reports.push(report);
    say(`\n${report.name}`);
    for (const { caption, rows } of report.tables) say(`\n  ${caption}\n${textOf(rows)}`);
  }
} finally {
  await parts?.close();
}
document.loadAtEnd = loadavg()[0];
document.seconds = Math.round((Date.now() - began) / 1000);

const verdicts = document.reports.flatMap(({ promises }) =>
  promises.map(({ what, unit, measured, limit }) => ({
    promise: what,
    measured: `${measured} ${unit}`,
    limit: `${limit} ${unit}`,
    kept: measured <= limit ? "yes" : "NO",
  })),
);
say(`\npromises\n${textOf(verdicts)}`);
const load = [document.loadAtStart, document.loadAtEnd].map((figure) => figure?.toFixed(1)).join(" → ");
say(`\n${document.machine.cores} cores; load average ${load}; ${document.seconds} s`);
const file = join(root, "dist/bench.json");
writeFileSync(file, `${JSON.stringify(document, undefined, 2)}\n`);
if (values.json === true) console.log(JSON.stringify(document));
else say(`written to ${file}`);
// A promise that is not kept is a finding, not a failure of the run.
process.exit(0);

/** Columns as wide as their widest cell; numbers to the right. */
function textOf(rows: Record<string, string | number>[]): string {
  const columns = Object.keys(rows[0] ?? {});
  const cells = [columns, ...rows.map((row) => columns.map((column) => row[column] ?? ""))];
  const widths = columns.map((_, i) => Math.max(...cells.map((line) => String(line[i]).length)));
  return cells
    .map((line) =>
      line
        .map((cell, i) =>
          typeof cell === "number" ? String(cell).padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0),
        )
        .join("  "),
    )
    .map((line) => `    ${line.trimEnd()}`)
    .join("\n");
}
