import { expect, test } from "bun:test";
import { join } from "node:path";

/**
 * Runs in a process of its own: being the reaper of one's descendants would change the whole test run.
 * Orphans two grandchildren, then counts the zombies among its children, with the reaper and without it.
 */
const program = (reaping: boolean) => `
  import { dlopen, FFIType } from "bun:ffi";
  import { startReaper } from ${JSON.stringify(join(import.meta.dir, "reaper.ts"))};
  import { createProcesses, listProcesses } from ${JSON.stringify(join(import.meta.dir, "processes.ts"))};
  const libc = dlopen("libc.so.6", { prctl: { args: [FFIType.i32, FFIType.u64, FFIType.u64, FFIType.u64, FFIType.u64], returns: FFIType.i32 } });
  if (libc.symbols.prctl(36, 1, 0, 0, 0) !== 0) throw new Error("prctl");
  const processes = createProcesses();
  const reaper = ${reaping} ? startReaper(processes, console.error, true) : undefined;
  const child = processes.spawn(["sh", "-c", "(sleep 0.1; exit 3) & (sleep 0.1) & exit 7"], { cwd: "/", env: process.env });
  const code = await child.exited;
  const own = () => listProcesses().filter((entry) => entry.parent === process.pid);
  // Until both have ended: they are zombies, or not there any more.
  for (let tries = 0; tries < 3000 && own().some(({ state }) => ${reaping} || state !== "Z"); tries++) await Bun.sleep(10);
  const zombies = own().filter(({ state }) => state === "Z").length;
  reaper?.close();
  console.log(JSON.stringify({ code, zombies }));
  process.exit(0);
`;

async function run(reaping: boolean): Promise<unknown> {
  const child = Bun.spawn([process.execPath, "-e", program(reaping)], { stdout: "pipe", stderr: "inherit" });
  return JSON.parse(await new Response(child.stdout).text());
}

test("orphans are reaped, and the guest's own children keep their exit codes", async () => {
  const [without, with_] = await Promise.all([run(false), run(true)]);
  expect(without).toEqual({ code: 7, zombies: 2 });
  expect(with_).toEqual({ code: 7, zombies: 0 });
});
