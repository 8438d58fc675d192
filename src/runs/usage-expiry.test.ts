import { afterEach, expect, test } from "bun:test";
import { newId, type PromptId } from "../domain/ids.ts";
import { closeHouses, createHouse, ids, submit } from "./house.fixture.ts";
import { expireUsage } from "./usage-expiry.ts";

afterEach(closeHouses);

const dayMs = 24 * 60 * 60_000;
const log = { info() {}, warn() {}, error() {} };

/** A task that asked the model so often on each of these days, counted from the first. */
function houseWith(days: readonly number[], times: number) {
  const { store } = createHouse();
  const id = submit(store);
  const sandboxId = newId("SandboxId", ids);
  for (const day of days)
    store.atomically(() => {
      for (let n = 0; n < times; n++)
        store.usage.record(
          {
            ...{ taskId: id, sandboxId, promptId: `prm_${day}` as PromptId, at: day * dayMs + n },
            ...{ model: "m", status: 200, firstByteMs: 1, totalMs: 1, costNano: 7 },
            ...{ inputTokens: 1, outputTokens: 1, cacheReadTokens: 0, cacheWriteTokens: 0 },
            ...{ cacheWriteHourTokens: 0, webSearches: 0 },
          },
          `2026-01-0${day + 1}`,
        );
    });
  const expire = (keepDays: number, day: number) =>
    expireUsage({ store, keepDays, log, now: () => day * dayMs }, new AbortController().signal);
  return { store, id, expire };
}

test("requests go after their days, however many they are, and all that is summed up stays", async () => {
  const { store, id, expire } = houseWith([0, 1, 2], 1200);
  const sums = () => [
    store.usage.total({}),
    store.usage.sums("day", {}, 10),
    store.usage.sums("person", { taskId: id }, 10),
    store.tasks.get(id),
  ];
  const before = sums();
  await expire(3, 5);
  expect(store.usage.list(id, 10_000)).toHaveLength(1200);
  expect(store.usage.turns(id)).toMatchObject([{ promptId: "prm_2", requests: 1200, costNano: 8400 }]);
  expect(sums()).toEqual(before);
  await expire(3, 1000);
  expect(store.usage.list(id, 10)).toEqual([]);
  expect(sums()).toEqual(before);
});

test("with 0 days all are kept", async () => {
  const { store, id, expire } = houseWith([0], 2);
  await expire(0, 100_000);
  expect(store.usage.list(id, 10)).toHaveLength(2);
});
