import { expect, test } from "bun:test";
import { exitOf, kernelKilledForMemory } from "./exit-reason.ts";

const plain = { outOfMemory: false, memoryLimit: 512 * 1024 ** 2, engineError: "" };

test("an end is told in words", () => {
  const ends: [number, Partial<typeof plain>, string][] = [
    [137, { outOfMemory: true }, "ran out of memory (limit 512 MiB)"],
    [137, { outOfMemory: true, memoryLimit: 0 }, "ran out of memory"],
    [137, {}, "was killed"],
    [143, {}, "was stopped"],
    [139, {}, "was ended by signal 11"],
    [0, {}, "ended with exit code 0"],
    [1, {}, "ended with exit code 1"],
    [127, { engineError: "exec format error" }, "could not be run: exec format error"],
  ];
  for (const [exitCode, facts, reason] of ends) {
    expect(exitOf({ exitCode, ...plain, ...facts })).toEqual({ exitCode, reason });
  }
});

test("the kernel's log is read to its end and blames no container that it does not name", () => {
  expect(kernelKilledForMemory("0".repeat(64))).toBe(false);
});
