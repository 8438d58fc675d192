import { expect, test } from "bun:test";
import { until } from "../../../test/until.ts";
import { createTimers } from "./timers.ts";

test("silence is what nobody said while the guest listened, not while it stood still", async () => {
  const timers = createTimers();
  const fired: string[] = [];
  timers.after(300, () => fired.push("silence"));
  const cancel = timers.after(300, () => fired.push("said"));
  // As for a guest that is stopped: its timers are late, and what was said has not been read.
  Bun.sleepSync(1000);
  await Bun.sleep(5);
  expect(fired).toEqual([]);
  cancel();
  await until("the other one fires", () => fired.length > 0);
  expect(fired).toEqual(["silence"]);
});

test("closed, none of them comes", async () => {
  const timers = createTimers();
  const fired: string[] = [];
  timers.after(5, () => fired.push("late"));
  timers.close();
  await Bun.sleep(20);
  expect(fired).toEqual([]);
});
