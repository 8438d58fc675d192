import { expect, test } from "bun:test";
import { checkTime, judgeDue, missedAfterMs, newScheduleSchema, scheduleChangeSchema } from "./schedule.ts";

const now = Date.parse("2026-11-21T12:00:00Z");
const task = { prompt: "Update the dependencies" };

test("a time that never comes is refused at once", () => {
  expect(() => checkTime({ kind: "cron", expression: "0 0 30 2 *", zone: "UTC" }, now)).toThrow(
    "never comes",
  );
  expect(() => checkTime({ kind: "once", at: now - 1 }, now)).toThrow("has passed");
  expect(() => checkTime({ kind: "never" }, now)).not.toThrow();
});

test("a run that is a little late is run, and one that was missed follows its policy", () => {
  expect(judgeDue({ missed: "skip" }, now - missedAfterMs, now).kind).toBe("run");
  expect(judgeDue({ missed: "skip" }, now - missedAfterMs - 1, now).kind).toBe("skip");
  expect(judgeDue({ missed: "run" }, now - 90 * 24 * 3600 * 1000, now).kind).toBe("run");
});

test("a change holds what was asked for and no defaults", () => {
  expect(scheduleChangeSchema.parse({ enabled: false })).toEqual({ enabled: false });
});

test("a schedule takes attachments, and leaves room for a payload", () => {
  const parse = (change: object) =>
    newScheduleSchema.safeParse({ name: "nightly", time: { kind: "never" }, task: { ...task, ...change } });
  expect(parse({}).success).toBe(true);
  expect(parse({ attachments: ["att_1"] }).success).toBe(true);
  expect(parse({ prompt: "x".repeat(1024 * 1024) }).success).toBe(false);
});
