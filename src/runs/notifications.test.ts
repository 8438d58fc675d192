import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../../test/until.ts";
import { type IdSource, newId, type TaskId } from "../domain/ids.ts";
import {
  type NotificationKind,
  type NotificationMessage,
  notificationKinds,
  type Send,
  type SendOutcome,
} from "../domain/notification.ts";
import type { ChannelSettings } from "../domain/notification-channel.ts";
import type { Store } from "../domain/store.ts";
import { createSeal } from "../store/seal.ts";
import { openStore } from "../store/store.ts";
import { ids, submit } from "./house.fixture.ts";
import { createNotifications, pauseAfter } from "./notifications.ts";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const hour = 3600_000;
const webhook: ChannelSettings = {
  kind: "webhook",
  url: "https://hooks.example/secret-path-of-a-webhook",
  secret: `whsec_${Buffer.alloc(32, 7).toString("base64")}`,
};

/** A store in a file with a clock of its own; servers come and go over it. */
function createWorld() {
  const folder = mkdtempSync(join(tmpdir(), "ccw-notifications-"));
  const clock = { ms: 1_800_000_000_000 };
  const source: IdSource = { ...ids, now: () => clock.ms };
  const open = () => openStore(join(folder, "ccw.sqlite"), createSeal(new Uint8Array(32)), source);
  const world = {
    clock,
    store: open(),
    sent: [] as NotificationMessage[],
    tries: [] as { title: string; at: number }[],
    answer: ((): SendOutcome => ({ kind: "sent", status: 200 })) as (m: NotificationMessage) => SendOutcome,
    reopen() {
      world.store.close();
      world.store = open();
    },
    /** A server, until it is closed or the test ends. */
    serve(send?: Send) {
      const { store } = world;
      const notifications = createNotifications({
        ...{ store, log: { info() {}, warn() {}, error() {} }, now: source.now, random: () => 0.5 },
        publicUrl: () => "http://ccw.lan",
        send:
          send ??
          (async (_, message) => {
            world.tries.push({ title: message.title, at: clock.ms });
            const outcome = world.answer(message);
            if (outcome.kind === "sent") world.sent.push(message);
            return outcome;
          }),
      });
      notifications.start();
      closers.push(() => notifications.close());
      return notifications;
    },
    channel(kinds: readonly NotificationKind[] = notificationKinds, settings = webhook) {
      return world.store.notifications.addChannel(world.store.people.ensure("ada").id, settings, kinds).id;
    },
    log: () => world.store.notifications.log(world.store.people.ensure("ada").id, 100),
  };
  closers.push(() => {
    world.store.close();
    rmSync(folder, { recursive: true });
  });
  return world;
}

function fail(store: Store, reason: string): TaskId {
  const id = submit(store);
  store.tasks.move(id, { kind: "starting", sandboxId: newId("SandboxId", ids) });
  store.tasks.move(id, { kind: "failed", reason, hint: "" });
  return id;
}

/** Long enough for everything that is due. */
const settle = () => Bun.sleep(60);

test("a task that failed is told once, with its title, its reason and where to look", async () => {
  const world = createWorld();
  world.channel();
  world.serve();
  await settle();
  const id = fail(world.store, "The clone failed.");
  await until("it is sent", () => world.sent.length === 1);
  await settle();
  expect(world.sent).toEqual([
    {
      id: expect.stringMatching(/^msg_[0-9a-f]{30}$/),
      ...{ kind: "failed", at: world.clock.ms, person: "ada", title: "t", reason: "The clone failed." },
      ...{ taskId: id, url: `http://ccw.lan/tasks/${id}` },
    },
  ]);
  expect(world.log()).toMatchObject([{ state: "sent", attempts: 1, status: 200, error: "" }]);
});

test("kinds that a channel is not for, channels that are off and other people's tasks are left out", async () => {
  const world = createWorld();
  const { store } = world;
  world.channel(["done"]);
  store.notifications.updateChannel(world.channel(), { on: false });
  store.notifications.addChannel(store.people.ensure("bob").id, webhook, notificationKinds);
  world.serve();
  await settle();
  fail(store, "no");
  await settle();
  expect(world.sent).toEqual([]);
  expect(store.notifications.notable(store.notifications.cursor()).events).toEqual([]);
});

test("what happened before there were notifications is no news, and a channel tells nothing of before it", async () => {
  const world = createWorld();
  fail(world.store, "long ago");
  world.channel();
  world.serve();
  await settle();
  expect(world.sent).toEqual([]);
});

test("a server that dies between the event and its sending loses nothing and tells nothing twice", async () => {
  const world = createWorld();
  world.channel();
  const first = world.serve((_, __, signal) => {
    // It dies in the middle of the request.
    return new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("gone"))));
  });
  await settle();
  fail(world.store, "one");
  await until("it is in the outbox", () => world.log().length === 1);
  await first.close();
  // These come while no server tells anything.
  fail(world.store, "two");
  world.reopen();
  const second = world.serve();
  await until("both are sent", () => world.sent.length === 2);
  await second.close();
  world.reopen();
  world.serve();
  await settle();
  expect(world.sent.map(({ reason }) => reason)).toEqual(["one", "two"]);
  expect(world.log().map(({ attempts, state }) => [attempts, state])).toEqual([
    [1, "sent"],
    [1, "sent"],
  ]);
});

test("events are collected once, even where the cursor is set back", () => {
  const { store, channel } = createWorld();
  const id = channel();
  const task = fail(store, "one");
  const person = store.people.ensure("ada").id;
  for (const reason of ["first", "again"])
    store.notifications.queue(
      person,
      { seq: 7, taskId: task, at: 0 },
      { kind: "failed", reason, title: "t" },
    );
  expect(store.notifications.log(person, 10, id).map(({ reason }) => reason)).toEqual(["first"]);
});

test("what is about no task is told with the way to the schedules", async () => {
  const world = createWorld();
  world.channel();
  world.serve();
  await settle();
  const reason = "It was paused.";
  const person = world.store.people.ensure("ada").id;
  world.store.notifications.queue(person, undefined, { kind: "schedule_paused", title: "nightly", reason });
  await until("it is sent", () => world.sent.length === 1);
  expect(world.sent).toMatchObject([
    { kind: "schedule_paused", title: "nightly", reason, taskId: undefined, url: "http://ccw.lan/schedules" },
  ]);
});

test("what is not taken is tried again after ever longer pauses, in order, under the same id", async () => {
  const world = createWorld();
  world.channel();
  world.answer = () => ({ kind: "again", status: 503, error: "It answers 503." });
  world.serve();
  await settle();
  const start = world.clock.ms;
  fail(world.store, "one");
  fail(world.store, "two");
  const ids = new Set<string>();
  for (let i = 0; i < 6; i += 1) {
    await until("it was tried", () => world.log().at(-1)?.attempts === i + 1);
    const first = world.log().at(-1);
    ids.add(first?.messageId ?? "");
    world.clock.ms = first?.nextAt ?? 0;
    // The tick is a real second; a wake-up stands in for it.
    world.store.wakes.wake("tasks");
  }
  await until("a seventh", () => world.tries.length === 7);
  expect(world.tries.map(({ at }) => at - start)).toEqual(
    [0, 5, 20, 65, 200, 605, 1820].map((s) => s * 1000),
  );
  expect(ids.size).toBe(1);
  world.answer = () => ({ kind: "sent", status: 200 });
  await until("it has settled", () => world.log().at(-1)?.attempts === 7);
  world.clock.ms += hour;
  world.store.wakes.wake("tasks");
  await until("both are sent", () => world.sent.length === 2);
  expect(world.sent.map(({ reason }) => reason)).toEqual(["one", "two"]);
});

test("a receiver that is away for a day costs one message its day, and none of the others theirs", async () => {
  const world = createWorld();
  world.channel();
  world.answer = () => ({ kind: "again", status: 0, error: "refused" });
  world.serve();
  await settle();
  fail(world.store, "one");
  await until("it was tried", () => world.log()[0]?.attempts === 1);
  world.clock.ms += 25 * hour;
  fail(world.store, "two");
  await until("it is given up", () => world.log()[1]?.state === "failed");
  expect(world.log()[1]?.error).toBe("Given up after a day. refused");
  await until("the next was tried", () => world.log()[0]?.attempts === 1);
  expect(world.log()[0]?.state).toBe("pending");
});

test("a clock that is set back holds nothing up", async () => {
  const world = createWorld();
  world.channel();
  world.answer = () => ({ kind: "again", status: 0, error: "refused" });
  world.serve();
  await settle();
  fail(world.store, "one");
  await until("it was tried", () => world.log()[0]?.attempts === 1);
  world.clock.ms -= 24 * hour;
  world.answer = () => ({ kind: "sent", status: 200 });
  world.store.wakes.wake("tasks");
  await until("it is sent", () => world.sent.length === 1);
});

test("a channel that does not answer holds up no other", async () => {
  const world = createWorld();
  const slow = world.channel();
  const quick = world.channel(notificationKinds, { kind: "email", address: "ada@example.com" });
  world.serve((settings, _, signal) =>
    settings.kind === "email"
      ? Promise.resolve({ kind: "sent", status: 250 })
      : new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("gone")))),
  );
  await settle();
  for (const reason of ["one", "two", "three"]) fail(world.store, reason);
  const person = world.store.people.ensure("ada").id;
  const of = (id: number) => world.store.notifications.log(person, 10, id).map(({ state }) => state);
  await until("the quick one has all", () => of(quick).join() === "sent,sent,sent");
  expect(of(slow)).toEqual(["pending", "pending", "pending"]);
});

test("a receiver that wants nothing more is switched off, with the reason, and what waits for it is given up", async () => {
  const world = createWorld();
  const id = world.channel();
  world.answer = () => ({ kind: "refused", status: 410, error: "It answers 410.", off: true });
  world.serve();
  await settle();
  world.store.atomically(() => [fail(world.store, "one"), fail(world.store, "two")]);
  await until("it is off", () => world.store.notifications.channel(id)?.on === false);
  expect(world.store.notifications.channel(id)?.trouble).toBe("It answers 410.");
  expect(world.tries).toHaveLength(1);
  expect(world.log().map(({ state }) => state)).toEqual(["failed", "failed"]);
});

test("a sandbox that asks for ever new hosts is told of once in a while", async () => {
  const world = createWorld();
  world.channel();
  world.serve();
  await settle();
  const id = submit(world.store);
  const ask = (n: number) =>
    world.store.events.append(id, {
      ...{
        kind: "access_requested",
        requestId: n,
        host: `h${n}.example`,
        port: 443,
        reason: "host-not-allowed",
      },
    });
  for (let n = 0; n < 50; n += 1) ask(n);
  world.store.wakes.wake("tasks");
  await until("one is sent", () => world.sent.length === 1);
  world.clock.ms += hour;
  ask(99);
  world.store.wakes.wake("tasks");
  await until("another is sent", () => world.sent.length === 2);
  await settle();
  expect(world.sent.map(({ reason }) => /h\d+/.exec(reason)?.[0])).toEqual(["h0", "h99"]);
});

test("the log keeps 30 days and a bounded number, and never forgets what is still to be sent", () => {
  const world = createWorld();
  const { store, clock } = world;
  const id = world.channel();
  const record = () =>
    store.notifications.record({ channelId: id, messageId: "m", state: "sent", status: 200, error: "" });
  const task = fail(store, "waits");
  const person = store.people.ensure("ada").id;
  store.notifications.queue(
    person,
    { seq: 1, taskId: task, at: 0 },
    { kind: "failed", reason: "", title: "t" },
  );
  record();
  clock.ms += 31 * 24 * hour;
  for (let i = 0; i < 12; i += 1) record();
  store.notifications.prune(clock.ms - 30 * 24 * hour, 10);
  const states = world.log().map(({ state }) => state);
  expect(states).toEqual([...Array(10).fill("sent"), "pending"]);
});

test("the secrets of a channel stand encrypted in the database, and its address is shown in part", () => {
  const world = createWorld();
  const id = world.channel();
  expect(world.store.notifications.settingsOf(id)).toEqual(webhook);
  expect(JSON.stringify(world.store.notifications.channel(id))).not.toMatch(/whsec|of-a-webhook/);
  expect(world.store.notifications.channel(id)?.target).toBe(
    "https://hooks.example/secret-path-of-a-webhoo…",
  );
});

test("pauses grow to an hour, obey the receiver within that, and end after a day", () => {
  expect(pauseAfter(1, 0, 0.5)).toBe(5000);
  expect(pauseAfter(3, 0, 0)).toBe(36_000);
  expect(pauseAfter(3, 0, 1)).toBe(54_000);
  expect(pauseAfter(30, 0, 0.5)).toBe(hour);
  expect(pauseAfter(1, 0, 0.5, 60_000)).toBe(60_000);
  expect(pauseAfter(1, 0, 0.5, 48 * hour)).toBe(hour);
  expect(pauseAfter(5, 24 * hour, 0.5)).toBeUndefined();
});
