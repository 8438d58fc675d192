import { afterEach, expect, test } from "bun:test";
import { until } from "../../test/until.ts";
import { CcwError } from "../domain/errors.ts";
import { closeHouses, createHouse, sandboxOf, stateOf, submit } from "./house.fixture.ts";
import { cancelTask } from "./steer.ts";

afterEach(closeHouses);

const away = new CcwError("unavailable", "The forge does not answer.", "See that it runs.");

test("which objects a sandbox borrows is written down before it is started, in the order of its repositories", async () => {
  const { store, engine, host, scheduler } = createHouse();
  let atStart: string[] | undefined;
  const { start } = engine;
  engine.start = (spec) => {
    atStart = store.sandboxes.get(spec.id)?.objectFolders;
    return start(spec);
  };
  host.objectsOf = async (name) => {
    await Bun.sleep(name === "a" ? 10 : 0);
    return `/mirrors/${name}`;
  };
  const id = submit(store, {}, ["a", "b"]);
  await scheduler.start();
  const sandbox = await sandboxOf(store, id);
  await until("started", () => engine.started === 1);
  expect(atStart).toEqual(["/mirrors/a", "/mirrors/b"]);
  expect(engine.running.get(sandbox)?.spec.objectFolders).toEqual(["/mirrors/a", "/mirrors/b"]);
  expect(store.sandboxes.borrowedFolders()).toEqual(["/mirrors/a", "/mirrors/b"]);
  expect(store.events.last(id, "appliance_notice")).toBeUndefined();
});

test("a forge that is away: the task waits and says so once, others go ahead, and it is tried again", async () => {
  const { store, engine, host, scheduler } = createHouse({ holdMs: 40, leaseMs: 30 });
  let tries = 0;
  let failing = true;
  host.objectsOf = async (name) => {
    if (name === "remote") tries++;
    if (name === "remote" && failing) throw away;
    return "/mirrors/x";
  };
  const waiting = submit(store, {}, ["remote"]);
  const other = submit(store, {}, ["local"]);
  await scheduler.start();
  await until("tried several times", () => tries >= 3);
  expect(stateOf(store, other)?.kind).toBe("starting");
  expect(engine.started).toBe(1);
  expect(store.events.ofKinds(waiting, ["appliance_notice"]).map(({ body }) => body)).toMatchObject([
    { level: "warning", text: expect.stringContaining("does not answer. The task waits") },
  ]);
  failing = false;
  await until("started", () => engine.started === 2);
});

test("a right that was lost fails the task, with the reason and what to do", async () => {
  const { store, engine, host, scheduler } = createHouse();
  host.objectsOf = () => Promise.reject(new CcwError("forbidden", "It was made private.", "Ask its owner."));
  const id = submit(store, {}, ["remote"]);
  await scheduler.start();
  const failed = await until("failed", () => {
    const state = stateOf(store, id);
    return state?.kind === "failed" && state;
  });
  expect(failed).toMatchObject({ reason: "It was made private.", hint: "Ask its owner." });
  expect(engine.started).toBe(0);
});

test("a task that is cancelled while its repository comes ends at once, and so does the coming", async () => {
  const { store, engine, host, scheduler } = createHouse();
  let signal: AbortSignal | undefined;
  host.objectsOf = (_name, given) => {
    signal = given;
    return new Promise((_, reject) => given.addEventListener("abort", () => reject(given.reason)));
  };
  const id = submit(store, {}, ["remote"]);
  await scheduler.start();
  await until("asked", () => signal);
  cancelTask(store, id, store.people.ensure("ada"));
  await until("cancelled", () => stateOf(store, id)?.kind === "cancelled");
  expect(signal?.aborted).toBe(true);
  expect(engine.started).toBe(0);
});

test("a server that stops while a repository comes leaves the task as it is", async () => {
  const { store, host, scheduler } = createHouse();
  let asked = false;
  host.objectsOf = (_name, given) => {
    asked = true;
    return new Promise((_, reject) => given.addEventListener("abort", () => reject(given.reason)));
  };
  const id = submit(store, {}, ["remote"]);
  await scheduler.start();
  await until("asked", () => asked);
  await scheduler.close();
  expect(stateOf(store, id)?.kind).toBe("starting");
  expect(store.events.last(id, "appliance_notice")).toBeUndefined();
});

test("time that a person would notice is told", async () => {
  let clock = 0;
  const { store, host, scheduler } = createHouse({}, undefined, undefined, {
    now: () => clock,
    randomBytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
  });
  host.objectsOf = async () => {
    clock += 1500;
    return "/mirrors/x";
  };
  const id = submit(store, {}, ["remote"]);
  await scheduler.start();
  const notice = await until("told", () => store.events.last(id, "appliance_notice")?.body);
  expect(notice).toMatchObject({ text: "remote: brought up to date on the appliance in 1.5 s." });
});
