import { expect, test } from "bun:test";
import { pause } from "./pause.ts";

test("a pause ends by its time, by the signal, and at once where the signal has aborted before", async () => {
  const began = performance.now();
  const stop = new AbortController();
  const long = pause(60_000, stop.signal);
  await pause(10, stop.signal);
  stop.abort();
  await long;
  await pause(60_000, stop.signal);
  expect(performance.now() - began).toBeLessThan(60_000);
  expect(performance.now() - began).toBeGreaterThan(8);
});
