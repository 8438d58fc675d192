import { describe, expect, test } from "bun:test";
import { runChaos } from "../chaos/chaos.ts";
import { enginesUnderTest } from "./appliance.ts";

/** The same schedule, as far as the machine allows; `bun run chaos` is the long form. */
const seed = Number(process.env["CCW_TEST_SEED"] ?? "20261121");

/** Both engines and all that is looked at afterwards within the half hour that a file has; usually it takes two minutes. */
const limits = { patienceMs: 360_000, deadlineMs: 540_000 };

describe.each(enginesUnderTest().map((engine) => [engine.name, engine] as const))("on %s", (_, engine) => {
  test(`whatever is killed, stalled or filled: 0 lost, 0 doubled, 0 stuck, 0 left over (seed ${seed})`, async () => {
    const report = await runChaos({ engine, seed, tasks: 12, parallel: 4, everyMs: 1500, ...limits });
    // Not by what the matcher prints: the story has all of it, and the command to see it again.
    if (report.broken.length > 0) throw new Error(report.story);
    expect(report.tasks).toBeGreaterThanOrEqual(12);
    // A suite that caused nothing, or looked at nothing, would hold as well.
    expect(Object.keys(report.faults).length).toBeGreaterThan(4);
    expect(report.conversations).toBeGreaterThan(9);
    expect(report.toolUses).toBeGreaterThan(30);
  }, 860_000);
});
