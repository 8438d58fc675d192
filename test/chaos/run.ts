import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { z } from "zod";
import { prepareParts } from "../parts.ts";

/**
 * `bun run chaos [--tasks 200] [--seed N] [--engine podman|docker] [--parallel 5] [--every 1500] [--only "kill agent,…"]`:
 * the fault suite, on the built executable (`bun run build` first) and as root. Kills, stalls, full disks, and people who
 * steer, over so many tasks with real containers and the real agent CLI; then an oracle compares what agents and people
 * did with what the store holds. Ends with 1 when a promise was broken, and prints the seed and the first of them. The
 * schedule follows from the seed; which instant of a task it hits depends on the machine, too.
 */
const root = join(import.meta.dir, "../..");
const count = z.coerce.number().int().positive();
const { values } = parseArgs({
  options: {
    tasks: { type: "string", default: "200" },
    seed: { type: "string" },
    engine: { type: "string", default: "podman" },
    parallel: { type: "string", default: "5" },
    /** Milliseconds from one fault to the next, about. */
    every: { type: "string", default: "1500" },
    only: { type: "string" },
  },
});

const given = ["CCW_TEST_ENGINES", "CCW_TEST_CLAUDE"].every((name) => process.env[name]);
const parts = given ? undefined : await prepareParts(root);
Object.assign(process.env, {
  CCW_TEST_EXECUTABLE: join(root, "dist/ccw-server"),
  ...parts?.environment,
  ...process.env,
});
let failed = true;
try {
  const { enginesUnderTest } = await import("../e2e/appliance.ts");
  const { runChaos } = await import("./chaos.ts");
  const { isFaultKind } = await import("./faults.ts");
  const engine = enginesUnderTest().find(({ name }) => name === values.engine);
  if (engine === undefined) throw new Error(`there is no engine ${values.engine}`);
  let said = "";
  const ending = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const)
    process.on(name, () => ending.abort(new Error(`It was ended by ${name}.`)));
  const report = await runChaos({
    engine,
    seed: count.parse(values.seed ?? (Date.now() % 1_000_000) + 1),
    tasks: count.parse(values.tasks),
    parallel: count.parse(values.parallel),
    everyMs: count.parse(values.every),
    only: values.only?.split(",").filter(isFaultKind),
    stalls: true,
    signal: ending.signal,
    progress: (line) => {
      if (line !== said) console.error(line);
      said = line;
    },
  });
  const { broken, story, ...figures } = report;
  console.log(JSON.stringify(figures, undefined, 2));
  if (broken.length > 0) console.log(`\n${story}`);
  console.log(`\n${broken.length} broken promises; seed ${report.seed}`);
  mkdirSync(join(root, "dist"), { recursive: true });
  writeFileSync(join(root, "dist/chaos.json"), `${JSON.stringify(report, undefined, 2)}\n`);
  failed = broken.length > 0;
} finally {
  await parts?.close();
}
process.exit(failed ? 1 : 0);
