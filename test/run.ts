import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { Glob } from "bun";
import { type Parts, prepareParts } from "./parts.ts";

/**
 * Every check and test, in three lanes side by side, and a fourth for what waits by the clock: scenarios wait more than they
 * work, and each file of them is a process of its own. Ends with the line `N passed, N failed`. `./ccw test WORD` runs only the scenario files whose name has the word.
 */
const root = join(import.meta.dir, "..");
const only = process.argv[2] ?? "";
const reports = mkdtempSync(join(tmpdir(), "ccw-test-"));
const total = { passed: 0, failed: 0, skipped: 0 };
const failures: string[] = [];
/** What failed says, told again at the end, where whoever looks at a long run looks first. */
const reasons: string[] = [];

function count(name: string, result: { passed: number; failed: number; skipped: number }): void {
  total.passed += result.passed;
  total.failed += result.failed;
  total.skipped += result.skipped;
  if (result.failed > 0) failures.push(name);
}

/** What it prints comes whole, when it is over: those that run at a time would be mixed up line by line. */
async function ran(
  name: string,
  argv: string[],
  environment: Record<string, string>,
  minutes: number,
): Promise<number> {
  const child = Bun.spawn(argv, {
    cwd: root,
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let told = `\n== ${name}\n`;
  const reading = [child.stdout, child.stderr].map(async (stream) => {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) told += text;
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), minutes * 60_000);
  const code = await child.exited;
  clearTimeout(timer);
  // What it has left running may hold its output open.
  await Promise.race([Promise.all(reading), Bun.sleep(10_000)]);
  console.log(told);
  if (code !== 0) reasons.push(withoutPassed(told));
  return code;
}

async function step(name: string, argv: string[]): Promise<boolean> {
  const code = await ran(name, argv, {}, 30);
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
  const report = join(reports, `${name.replace(/\W+/g, "-")}.xml`);
  const reporting = ["--reporter=junit", "--reporter-outfile", report];
  // A test's own time is there to end one that hangs, and no measure of the machine.
  const argv = [process.execPath, "test", "--timeout", "600000", ...reporting, ...files];
  const code = await ran(name, argv, environment, minutes);
  const counts = countsOf(report);
  if (counts === undefined)
    return count(`${name} (ended with code ${code} before its report)`, { passed: 0, failed: 1, skipped: 0 });
  // A run may fail outside of any test: a hook, an unhandled rejection.
  if (code !== 0 && counts.failed === 0) counts.failed = 1;
  if (code === 0 && counts.passed + counts.skipped === 0) counts.failed = 1;
  count(name, counts);
}

/** The end of a run's output without the tests that passed, nor the names of files of which nothing else is told; 16 KiB at most. */
const withoutPassed = (told: string) =>
  told
    .replaceAll(/^\(pass\).*\n/gm, "")
    .replaceAll(/^\S+\.tsx?:\n\s*(?=^\S+\.tsx?:\n)/gm, "")
    .slice(-16_384);

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
const folder = join(root, "test/e2e");

async function checks(): Promise<void> {
  await step("types", [bun, "x", "tsc", "--noEmit"]);
  await step("lint", [bun, "x", "biome", "check", "--error-on-warnings", "."]);
  await step("dead code", [bun, "x", "knip"]);
}

async function unitTests(): Promise<void> {
  const ofTheWhole = [...new Glob("*.test.ts").scanSync(join(root, "test"))].map((file) => `./test/${file}`);
  // Two processes, each file by itself: what one of them leaves behind meets no other.
  await tests(
    "unit tests",
    ["--parallel=2", "./src", "./web", "./tui", "./test/chaos", ...ofTheWhole],
    {},
    30,
  );
}

/** What scenarios need: the executable, and what it runs on. */
async function prepare(): Promise<Parts & { built: boolean }> {
  const built = await step("build", [bun, "build.ts"]);
  const parts = await prepareParts(root);
  for (const { name, ok, reason } of parts.checks) {
    console.log(`${ok ? "ready" : "MISSING"}: ${name}${reason === "" ? "" : ` (${reason})`}`);
    count(`part: ${name}`, { passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0 });
  }
  return { ...parts, built };
}

/** These wait by the clock for most of their time: beside the others they cost little. */
const patient = ["clock", "faults", "search", "usage", "schedules", "notifications"];
/** The longest first, so that no lane goes on alone at the end. */
const long = ["acp", "chaos", "task", "toolchains", "life", "remote-faults", "codex"];
const nameOf = (file: string) => basename(file, ".e2e.ts");
const placeOf = (file: string) => {
  const place = long.indexOf(nameOf(file));
  return place < 0 ? long.length : place;
};

// Those that play the internet listen at its fixed addresses: one after another.
const playsInternet = (file: string) => readFileSync(join(folder, file), "utf8").includes("egress-world");
const files = [...new Glob("*.e2e.ts").scanSync(folder)]
  .filter((file) => file.includes(only))
  .sort((a, b) => placeOf(a) - placeOf(b) || a.localeCompare(b));
const inOrder = files.filter(playsInternet);
const waiting = files.filter((file) => patient.includes(nameOf(file)));
const others = files.filter((file) => !inOrder.includes(file) && !waiting.includes(file));

const prepared = prepare();
async function scenarios(queue: string[]): Promise<void> {
  const { built, environment } = await prepared;
  if (!built) return;
  for (let file = queue.shift(); file !== undefined; file = queue.shift())
    await tests(file, [`./test/e2e/${file}`], environment, 30);
}

const whole = only === "";
await Promise.all([
  (whole ? checks() : Promise.resolve()).then(() => scenarios(others)),
  (whole ? unitTests() : Promise.resolve()).then(() => scenarios(others)),
  scenarios(inOrder).then(() => scenarios(others)),
  scenarios(waiting),
]);
await (await prepared).close();
rmSync(reports, { recursive: true });

for (const reason of reasons) console.log(reason);
if (failures.length > 0) console.log(`\nfailed: ${failures.join(", ")}`);
console.log(
  `\n${total.passed} passed, ${total.failed} failed${total.skipped > 0 ? `, ${total.skipped} skipped` : ""}`,
);
process.exit(total.failed === 0 ? 0 : 1);
