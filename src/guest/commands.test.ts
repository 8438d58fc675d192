import { expect, test } from "bun:test";
import { join } from "node:path";
import type { GuestEvent } from "../domain/event.ts";
import { createCommandRunner, createStepOutput } from "./commands.ts";
import { createProcesses, listProcesses } from "./processes.ts";

const runner = () => createCommandRunner(createProcesses());
const here = { cwd: "/tmp", env: { PATH: process.env["PATH"] ?? "" } };

test("a command's output comes in order, from both streams and from /dev/stderr, with its exit code", async () => {
  const lines: string[] = [];
  const result = await runner().run(
    [
      "bash",
      "-c",
      "echo one; echo two >&2; echo three > /dev/stderr; printf '10%%\\r50%%\\r100%%\\n'; printf end; exit 7",
    ],
    { ...here, onLines: async (more) => void lines.push(...more) },
  );
  expect(lines).toEqual(["one", "two", "three", "100%", "end"]);
  expect(result).toEqual({ code: 7, output: "one\ntwo\nthree\n100%\nend" });
});

test("what a command leaves running is not waited for, and lives on", async () => {
  const { code, output } = await runner().run(["bash", "-c", "(sleep 100; echo late) & echo $!"], here);
  expect(code).toBe(0);
  const left = Number(output);
  expect(listProcesses().some(({ pid }) => pid === left)).toBe(true);
  process.kill(left, "SIGKILL");
});

test("a program that is not there ends with 127 and the shell's word", async () => {
  const { code, output } = await runner().run(["no-such-program"], here);
  expect(code).toBe(127);
  expect(output).toContain("not found");
});

test("a command's exit code is its own, however quickly it ends", async () => {
  for (let i = 0; i < 30; i++) {
    const { code } = await runner().run(["sh", "-c", `exit ${i}`], here);
    expect(code).toBe(i);
  }
});

test("a command's endless output takes no memory", async () => {
  // In a process of its own: what other tests hold says nothing here.
  const script = `
    const { createCommandRunner } = await import(${JSON.stringify(join(import.meta.dir, "commands.ts"))});
    const { createProcesses } = await import(${JSON.stringify(join(import.meta.dir, "processes.ts"))});
    const before = process.memoryUsage.rss();
    let bytes = 0;
    const onLines = async (lines) => { bytes += lines.length * 11; };
    const command = ["bash", "-c", "yes 0123456789 | head -c 100000000"];
    const { output } = await createCommandRunner(createProcesses()).run(command, { cwd: "/", env: process.env, onLines });
    console.log(JSON.stringify({ bytes, kept: output.length, growth: process.memoryUsage.rss() - before }));
    process.exit();`;
  const child = Bun.spawn([process.execPath, "-e", script], { stderr: "inherit" });
  const { bytes, kept, growth } = JSON.parse(await new Response(child.stdout).text());
  expect(bytes).toBeGreaterThan(99_000_000);
  expect(kept).toBeLessThan(70_000);
  // Held as lines, 100 MB of output would be several times this.
  expect(growth).toBeLessThan(150e6);
}, 180_000);

test("a step's output past its cap is left out, but for its end, and the transcript says so", async () => {
  const events: GuestEvent[] = [];
  const step = createStepOutput("setup", async (event) => void events.push(event));
  const line = "x".repeat(1000);
  for (let i = 0; i < 10_000; i++) await step.lines([`${i} ${line}`]);
  await step.close();
  const text = events.map((event) => (event.kind === "step_output" ? event.text : "")).join("");
  expect(text.length).toBeLessThan(4.3 * 1024 ** 2);
  expect(text).toMatch(/characters of output are not shown/);
  expect(text.trimEnd().split("\n").at(-1)).toStartWith("9999 ");
  expect(events.every((event) => event.kind === "step_output" && event.text.length <= 256 * 1024)).toBe(true);
});
