import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Glob } from "bun";
import { prepareParts } from "./parts.ts";

/**
 * Every check and test, from the quickest to the slowest, each file of scenarios in a process of its own. Ends with the
 * line `N passed, N failed`. `./ccw test WORD` runs only the scenario files whose name has the word.
 */
const root = join(import.meta.dir, "..");
const only = process.argv[2] ?? "";
const reports = mkdtempSync(join(tmpdir(), "ccw-test-"));
const total = { passed: 0, failed: 0, skipped: 0 };
const failures: string[] = [];

function count(name: string, result: { passed: number; failed: number; skipped: number }): void {
  total.passed += result.passed;
  total.failed += result.failed;
  total.skipped += result.skipped;
  if (result.failed > 0) failures.push(name);
}

async function step(name: string, argv: string[]): Promise<boolean> {
  console.log(`\n== ${name}`);
  const code = await Bun.spawn(argv, { cwd: root, stdio: ["ignore", "inherit", "inherit"] }).exited;
  count(name, { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: 0 });
  return code === 0;
}

/** Runs test files and reads the counts from the report; a process that ends without one has failed. */
async function tests(
  name: string,
  files: string[],
  environment: Record<string, string>,
  minutes: number,
): Promise<void> {
  console.log(`\n== ${name}`);
  const report = join(reports, `${name.replace(/\W+/g, "-")}.xml`);
  const child = Bun.spawn(
    [
      process.execPath,
      "test",
      "--timeout",
      "60000",
      "--reporter=junit",
      "--reporter-outfile",
      report,
      ...files,
    ],
    { cwd: root, env: { ...process.env, ...environment }, stdio: ["ignore", "inherit", "inherit"] },
  );
  const timer = setTimeout(() => child.kill("SIGKILL"), minutes * 60_000);
  const code = await child.exited;
  clearTimeout(timer);
  const counts = countsOf(report);
  if (counts === undefined)
    return count(`${name} (ended with code ${code} before its report)`, { passed: 0, failed: 1, skipped: 0 });
  // A run may fail outside of any test: a hook, an unhandled rejection.
  if (code !== 0 && counts.failed === 0) counts.failed = 1;
  if (code === 0 && counts.passed + counts.skipped === 0) counts.failed = 1;
  count(name, counts);
}

function countsOf(report: string): { passed: number; failed: number; skipped: number } | undefined {
  let xml: string;
  try {
    xml = readFileSync(report, "utf8");
  } catch {
    return undefined;
  }
  const suites = xml.match(/<testsuites\b[^>]*>/)?.[0];
  const read = (name: string) => Number(suites?.match(new RegExp(`\\b${name}="(\\d+)"`))?.[1] ?? Number.NaN);
  const [all, failed, skipped] = [read("tests"), read("failures"), read("skipped")];
  return Number.isNaN(all + failed + skipped)
    ? undefined
    : { passed: all - failed - skipped, failed, skipped };
}

mkdirSync(reports, { recursive: true });
const bun = process.execPath;
if (only === "") {
  await step("types", [bun, "x", "tsc", "--noEmit"]);
  await step("lint", [bun, "x", "biome", "check", "--error-on-warnings", "."]);
  await step("dead code", [bun, "x", "knip"]);
  await tests(
    "unit tests",
    ["./src", "./web", "./tui", "./test/chaos", "./test/architecture.test.ts"],
    {},
    5,
  );
}
const built = await step("build", [bun, "build.ts"]);
const parts = await prepareParts(root);
for (const { name, ok, reason } of parts.checks) {
  console.log(`${ok ? "ready" : "MISSING"}: ${name}${reason === "" ? "" : ` (${reason})`}`);
  count(`part: ${name}`, { passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0 });
}
if (built) {
  for (const file of [...new Glob("*.e2e.ts").scanSync(join(root, "test/e2e"))].sort()) {
    if (file.includes(only)) await tests(file, [`./test/e2e/${file}`], parts.environment, 20);
  }
}
await parts.close();
rmSync(reports, { recursive: true });

if (failures.length > 0) console.log(`\nfailed: ${failures.join(", ")}`);
console.log(
  `\n${total.passed} passed, ${total.failed} failed${total.skipped > 0 ? `, ${total.skipped} skipped` : ""}`,
);
process.exit(total.failed === 0 ? 0 : 1);
