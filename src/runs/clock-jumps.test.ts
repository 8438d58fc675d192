import { afterEach, expect, test } from "bun:test";
import { until } from "../../test/until.ts";
import { createSeal } from "../store/seal.ts";
import { openStore } from "../store/store.ts";
import {
  closeHouses,
  createHouse,
  ids,
  openPrompt,
  sandboxOf,
  say,
  started,
  stateOf,
  submit,
  turnEnded,
} from "./house.fixture.ts";
import { addPrompt, cancelTask } from "./steer.ts";
import { createUsageLimits } from "./usage-limits.ts";

/** The wall clock is set ahead and back while tasks run: their time is not that clock's. */

afterEach(closeHouses);
const hour = 3_600_000;

function houseWithClock() {
  const clock = { ...ids, offset: 0, now: () => Date.now() + clock.offset };
  const house = createHouse(
    {},
    openStore(":memory:", createSeal(new Uint8Array(32)), clock),
    undefined,
    clock,
  );
  return { ...house, clock };
}

test("a clock that is set uses up nothing of a task's time, while a server runs or none does, and the limit holds still", async () => {
  const { store, engine, scheduler, clock } = houseWithClock();
  const id = submit(store, { limits: { minutes: 1 } });
  await scheduler.start();
  const sandbox = await sandboxOf(store, id);
  say(store, sandbox, started);
  await until("running", () => stateOf(store, id)?.kind === "running");
  clock.offset = 5 * hour;
  await Bun.sleep(100);
  await scheduler.close();
  const awakeMs = () => store.sandboxes.get(sandbox)?.awakeMs ?? 0;
  // What it was watched for is kept at the end of the watch, too.
  expect(awakeMs()).toBeWithin(50, hour);
  let next = createHouse({}, store, engine, clock);
  for (const offset of [30 * hour, -60 * 24 * hour]) {
    clock.offset = offset;
    await next.scheduler.start();
    await Bun.sleep(200);
    expect(store.events.ofKinds(id, ["limit_reached"])).toEqual([]);
    expect(stateOf(store, id)?.kind).toBe("running");
    await next.scheduler.close();
    next = createHouse({}, store, engine, clock);
  }
  store.sandboxes.update(sandbox, { awakeMs: 59_900 });
  await next.scheduler.start();
  await until("the limit", () => store.events.ofKinds(id, ["limit_reached"]).length === 1);
});

test("a prompt that came after a stop is done over with its sandbox, though the clock was set back between them", async () => {
  const { store, engine, scheduler, clock } = houseWithClock();
  const ada = store.people.ensure("ada");
  const id = submit(store);
  await scheduler.start();
  const asleep = await sandboxOf(store, id);
  const first = await openPrompt(store, asleep);
  say(store, asleep, started, { kind: "turn_started", promptId: first });
  await until("it is taken", () => store.prompts.list(id)[0]?.state === "taken");
  clock.offset = 5 * hour;
  cancelTask(store, id, ada);
  await until("cancelled", () => stateOf(store, id)?.kind === "cancelled");
  clock.offset = 0;
  const later = addPrompt(store, clock, id, ada, { text: "and now this" });
  const sandbox = await sandboxOf(store, id);
  await until("it is awake", () => engine.running.has(sandbox));
  say(store, sandbox, started, turnEnded(first, "interrupted"));
  await until("it is given out", () => store.sandboxes.get(sandbox)?.busyWith === later);
  await engine.remove(sandbox);
  const next = await until("another sandbox", () => {
    const state = stateOf(store, id);
    return state !== undefined && "sandboxId" in state && state.sandboxId !== sandbox && state.sandboxId;
  });
  await until("it is given out again", () => store.sandboxes.get(next)?.busyWith === later);
  // What was being done when the person stopped it stays undone.
  expect(store.prompts.list(id).find(({ text }) => text === "first")?.state).not.toBe("queued");
});

test("a usage limit that was over once does not come back with a clock that is set back", () => {
  const { store, clock } = houseWithClock();
  const credential = { header: "x-api-key", value: "key" } as const;
  const endpoint = () => ({ kind: "endpoint", baseUrl: "http://model", credential }) as const;
  const limits = createUsageLimits({ store, endpoint, now: clock.now });
  const until = clock.now() + hour;
  limits.reached(until);
  clock.offset = -3 * hour;
  expect(limits.modelAvailableAt()).toBe(until);
  clock.offset = 2 * hour;
  expect(limits.modelAvailableAt()).toBeUndefined();
  clock.offset = 0;
  expect(limits.modelAvailableAt()).toBeUndefined();
});
