import { afterEach, expect, test } from "bun:test";
import { until } from "../../test/until.ts";
import { CcwError } from "../domain/errors.ts";
import type { TaskId } from "../domain/ids.ts";
import { closeHouses, createHouse, ids, openPrompt, sandboxOf, stateOf, submit } from "./house.fixture.ts";
import { cancelTask, resumeTask } from "./steer.ts";

afterEach(closeHouses);

/** Repositories named `new…` are not here before they were fetched, which each test does by hand. */
function houseWithSlowForge(...given: Parameters<typeof createHouse>) {
  const house = createHouse(...given);
  const { host, store } = house;
  const here = new Set<string>();
  /** The fetches that run, by repository; `begun`: all that ever did, in order. */
  const fetching = new Map<string, { signal: AbortSignal; fail(thrown: unknown): void; end(): void }>();
  const begun: string[] = [];
  host.isHere = (name) => !name.startsWith("new") || here.has(name);
  host.objectsOf = (name, signal) => {
    if (host.isHere(name)) return Promise.resolve(`/mirrors/${name}`);
    begun.push(name);
    return new Promise((resolve, reject) => {
      const over =
        <Value>(work: (value: Value) => void) =>
        (value: Value) => {
          fetching.delete(name);
          work(value);
        };
      const fail = over(reject);
      signal.addEventListener("abort", () => fail(signal.reason));
      const end = over<void>(() => {
        here.add(name);
        resolve(`/mirrors/${name}`);
      });
      fetching.set(name, { signal, fail, end });
    });
  };
  const ada = store.people.ensure("ada");
  const fetchOf = (name: string) => until(`${name} is fetched`, () => fetching.get(name));
  const reasonOf = (id: TaskId) => {
    const task = store.tasks.get(id);
    return task === undefined ? "" : house.scheduler.reasonFor(task);
  };
  const noticesOf = (id: TaskId) =>
    store.events
      .ofKinds(id, ["appliance_notice"])
      .map(({ body }) => (body.kind === "appliance_notice" ? body.text : ""));
  const lose = (name: string) => here.delete(name);
  return { ...house, ada, fetching, begun, lose, fetchOf, reasonOf, noticesOf };
}

test("five tasks on a repository that comes slowly hold no place: one fetch serves them, others run, and they follow in order", async () => {
  const { store, scheduler, engine, begun, fetchOf, reasonOf, noticesOf } = houseWithSlowForge({
    parallel: 1,
  });
  const slow = [1, 2, 3, 4, 5].map(() => submit(store, {}, ["new"]));
  const other = submit(store, {}, ["local"]);
  scheduler.start();
  const fetch = await fetchOf("new");
  const sandbox = await sandboxOf(store, other);
  await until("the other runs", () => engine.running.has(sandbox));
  for (const id of slow) {
    expect(stateOf(store, id)?.kind).toBe("queued");
    expect(reasonOf(id)).toBe("It waits for new, which is fetched for the first time.");
    expect(noticesOf(id)).toEqual(["new is fetched for the first time."]);
  }
  const later = submit(store, {}, ["new"]);
  expect(reasonOf(later)).toContain("fetched for the first time");
  expect(reasonOf(other)).toBe("");

  cancelTask(store, other, store.people.ensure("ada"));
  await until("its place is free", () => stateOf(store, other)?.kind === "cancelled");
  expect(engine.running.size).toBe(0);
  fetch.end();
  const [first] = slow;
  if (first === undefined) throw new Error("no task");
  expect(await openPrompt(store, await sandboxOf(store, first))).toBeString();
  expect(begun).toEqual(["new"]);
  expect(slow.map((id) => stateOf(store, id)?.kind)).toEqual([
    "starting",
    "queued",
    "queued",
    "queued",
    "queued",
  ]);
  expect([...slow.slice(1), later].map(reasonOf)).toEqual(["", "", "", "", ""]);
});

test("a task with several repositories starts when all of them are here", async () => {
  const { store, scheduler, engine, fetchOf } = houseWithSlowForge();
  const id = submit(store, {}, ["new a", "local", "new b"]);
  scheduler.start();
  const [a, b] = [await fetchOf("new a"), await fetchOf("new b")];
  b.end();
  await Bun.sleep(20);
  expect(stateOf(store, id)?.kind).toBe("queued");
  a.end();
  const sandbox = await sandboxOf(store, id);
  await until("started", () => engine.running.has(sandbox));
  expect(engine.running.get(sandbox)?.spec.objectFolders).toEqual([
    "/mirrors/new a",
    "/mirrors/local",
    "/mirrors/new b",
  ]);
});

test("cancelling ends a fetch that nobody else needs, and no other", async () => {
  const { store, scheduler, ada, begun, fetching, fetchOf } = houseWithSlowForge();
  const [one, two] = [submit(store, {}, ["new"]), submit(store, {}, ["new"])];
  scheduler.start();
  const { signal } = await fetchOf("new");
  cancelTask(store, one, ada);
  expect([stateOf(store, one)?.kind, signal.aborted]).toEqual(["cancelled", false]);
  cancelTask(store, two, ada);
  expect([stateOf(store, two)?.kind, signal.aborted]).toEqual(["cancelled", true]);
  expect(fetching.size).toBe(0);
  const three = submit(store, {}, ["new"]);
  (await fetchOf("new")).end();
  await sandboxOf(store, three);
  expect(begun).toEqual(["new", "new"]);
});

test("a few are fetched at once, and whoever wants many repositories lets others go between", async () => {
  const { store, scheduler, begun, fetchOf, reasonOf } = houseWithSlowForge();
  const flood = [1, 2, 3, 4, 5].map((n) => submit(store, {}, [`new ${n}`]));
  const bobs = submit(store, {}, ["new bob"], "bob");
  scheduler.start();
  await fetchOf("new 3");
  expect(begun).toEqual(["new 1", "new 2", "new 3"]);
  expect([flood[3], bobs].map((id) => id && reasonOf(id))).toEqual([
    "It waits for new 4, which is fetched for the first time after others that are fetched now.",
    "It waits for new bob, which is fetched for the first time after others that are fetched now.",
  ]);
  (await fetchOf("new 2")).end();
  (await fetchOf("new bob")).end();
  await fetchOf("new 4");
  expect(begun.slice(3)).toEqual(["new bob", "new 4"]);
  await sandboxOf(store, bobs);
});

test("a forge that is away: its tasks wait and say so once, hold no place, and are tried again", async () => {
  const { store, scheduler, engine, begun, fetching, reasonOf, noticesOf } = houseWithSlowForge({
    ...{ holdMs: 30, parallel: 1 },
  });
  const waiting = [submit(store, {}, ["new"]), submit(store, {}, ["new"])];
  const other = submit(store, {}, ["local"]);
  scheduler.start();
  await until("tried several times", () => {
    fetching.get("new")?.fail(new CcwError("unavailable", "The forge does not answer.", "See that it runs."));
    return begun.length >= 4;
  });
  const sandbox = await sandboxOf(store, other);
  await until("the other runs", () => engine.running.has(sandbox));
  for (const id of waiting) {
    expect(stateOf(store, id)?.kind).toBe("queued");
    const said = noticesOf(id);
    expect(said.filter((text) => text.includes("first time"))).toHaveLength(1);
    expect(said.filter((text) => text.includes("does not answer"))).toEqual([
      "The forge does not answer. The task waits and is tried again. See that it runs.",
    ]);
  }
  await until("it is told", () => {
    fetching.get("new")?.fail(new CcwError("no_space", "The disk is full.", ""));
    return waiting.every((id) => reasonOf(id).startsWith("The disk is full. The task waits"));
  });
});

test("what a forge refuses for good fails the tasks that need it, with its words, and what comes later asks anew", async () => {
  const { store, scheduler, engine, fetchOf } = houseWithSlowForge();
  const needy = [submit(store, {}, ["new"]), submit(store, {}, ["local", "new"])];
  scheduler.start();
  (await fetchOf("new")).fail(new CcwError("forbidden", "It was made private.", "Ask its owner."));
  for (const id of needy) {
    await until("failed", () => stateOf(store, id)?.kind === "failed");
    expect(stateOf(store, id)).toMatchObject({ reason: "It was made private.", hint: "Ask its owner." });
  }
  expect(engine.started).toBe(0);
  const next = submit(store, {}, ["new"]);
  (await fetchOf("new")).end();
  await sandboxOf(store, next);
});

test("a defect keeps nobody for ever: it is logged, told, and tried again", async () => {
  const { store, scheduler, fetching, fetchOf, reasonOf } = houseWithSlowForge({ holdMs: 20 });
  const id = submit(store, {}, ["new"]);
  scheduler.start();
  await fetchOf("new");
  await until("told", () => {
    fetching.get("new")?.fail(new TypeError("not a function"));
    return reasonOf(id).startsWith("new could not be fetched. The task waits");
  });
  (await fetchOf("new")).end();
  await sandboxOf(store, id);
});

test("a server that stops in the middle leaves the tasks in the queue, and the next one fetches again", async () => {
  const first = houseWithSlowForge();
  const id = submit(first.store, {}, ["new"]);
  first.scheduler.start();
  const { signal } = await first.fetchOf("new");
  await first.scheduler.close();
  expect([signal.aborted, stateOf(first.store, id)?.kind]).toEqual([true, "queued"]);
  const second = houseWithSlowForge({}, first.store, first.engine);
  second.scheduler.start();
  (await second.fetchOf("new")).end();
  await sandboxOf(first.store, id);
});

test("an idle task keeps its place while those that wait could not use it", async () => {
  const { store, scheduler, engine, fetchOf } = houseWithSlowForge(
    { parallel: 1 },
    undefined,
    undefined,
    ids,
    {
      idleMs: 60_000,
    },
  );
  const id = submit(store);
  scheduler.start();
  const sandboxId = await sandboxOf(store, id);
  await until("it runs", () => engine.running.has(sandboxId));
  store.tasks.move(id, { kind: "running", sandboxId });
  store.tasks.move(id, { kind: "idle", sandboxId, summary: "Done.", interrupted: false });
  const slow = submit(store, {}, ["new"]);
  const fetch = await fetchOf("new");
  await Bun.sleep(20);
  expect(stateOf(store, id)?.kind).toBe("idle");
  fetch.end();
  await sandboxOf(store, slow);
  expect(stateOf(store, id)?.kind).toBe("completed");
});

test("a task whose sandbox sleeps needs no repository to be woken, and none may be here any more", async () => {
  const { store, scheduler, engine, ada, lose, fetchOf } = houseWithSlowForge();
  const id = submit(store, {}, ["new"]);
  scheduler.start();
  (await fetchOf("new")).end();
  const sandboxId = await sandboxOf(store, id);
  await until("it runs", () => engine.running.has(sandboxId));
  store.tasks.move(id, { kind: "running", sandboxId });
  store.tasks.move(id, { kind: "paused", why: "interrupted", reason: "", hint: "" });
  await until("asleep", () => engine.stopped.has(sandboxId));
  lose("new");
  const other = submit(store, {}, ["new"]);
  const { signal } = await fetchOf("new");
  resumeTask(store, ids, id, ada);
  await until("awake", () => engine.running.has(sandboxId));
  // Nor does it keep a fetch going.
  store.tasks.move(id, { kind: "paused", why: "interrupted", reason: "", hint: "" });
  store.tasks.reopen(id);
  cancelTask(store, other, ada);
  expect(signal.aborted).toBe(true);
});
