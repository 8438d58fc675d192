import { CcwError, messageOf } from "../domain/errors.ts";
import type { PersonId } from "../domain/ids.ts";
import { noticeOf } from "../domain/notice.ts";
import type { Delivery, NotificationMessage, Send, SendOutcome } from "../domain/notification.ts";
import type { Log } from "../domain/ports.ts";
import type { Store } from "../domain/store.ts";

/**
 * Tells people what became of their tasks. Events become rows of an outbox behind a cursor, in one transaction, so that
 * each is told once, whatever dies; rows are carried out one at a time for each channel, in order, and tried again until
 * they are taken or a day has passed. No task waits for any of it.
 */
export interface Notifications {
  start(): void;
  close(): Promise<void>;
  /** Sends a test now, beside the queue, and says what came of it. Throws `rate_limited` for one right after another. */
  test(channelId: number): Promise<SendOutcome>;
}

const parallel = 4;
const tickMs = 1000;
const pruneEveryMs = 3600_000;
const keepMs = 30 * 24 * 3600_000;
const keepOfChannel = 1000;
const testPauseMs = 3000;

const giveUpMs = 24 * 3600_000;
const firstPauseMs = 5000;
const longestPauseMs = 3600_000;

/**
 * How long to wait after the `attempts`th try: 5 s, 15 s, 45 s, … up to an hour, each up to a fifth shorter or longer,
 * so that many do not come back together. `random` is 0 to 1. Undefined: it was tried for a day, which is enough.
 */
export function pauseAfter(attempts: number, ageMs: number, random: number, askedMs = 0): number | undefined {
  if (ageMs >= giveUpMs) return undefined;
  const pause = Math.min(longestPauseMs, firstPauseMs * 3 ** (attempts - 1));
  return Math.round(Math.max(pause, Math.min(askedMs, longestPauseMs)) * (0.8 + 0.4 * random));
}

export function createNotifications(context: {
  store: Store;
  send: Send;
  log: Log;
  now(): number;
  /** 0 to 1. */
  random(): number;
  /** Where people reach the appliance, without a slash at the end. */
  publicUrl(): string;
}): Notifications {
  const { store, send, log, now, random, publicUrl } = context;
  const stopped = new AbortController();
  const { signal } = stopped;
  const underway = new Map<number, Promise<void>>();
  /** When each person last sent a test: the mail server is not to be flooded by it. */
  const tested = new Map<PersonId, number>();
  let prunedAt = 0;

  /** One stretch of events. Whether there are more. */
  const collect = (): boolean =>
    store.atomically(() => {
      const cursor = store.notifications.cursor();
      const { events, upTo } = store.notifications.notable(cursor);
      for (const event of events) {
        const task = store.tasks.get(event.taskId);
        if (task === undefined) continue;
        const { person, title } = task;
        const around = store.notifications.statesAround(event.taskId, event);
        const notice = noticeOf(event, { ...around, person: person.name });
        if (notice !== undefined) store.notifications.queue(person.id, event, { ...notice, title });
      }
      if (upTo > cursor) store.notifications.setCursor(upTo);
      return upTo > cursor;
    });

  async function deliver(delivery: Delivery): Promise<void> {
    const { id, channelId, queuedAt } = delivery;
    const channel = store.notifications.channel(channelId);
    const person = channel && store.people.get(channel.personId);
    if (channel === undefined || person === undefined) return;
    const outcome = await tried(channelId, messageFor(delivery, person.name));
    if (outcome === undefined) return;
    const attempts = delivery.attempts + 1;
    const { status } = outcome;
    const settle = (change: Parameters<typeof store.notifications.settle>[1]) =>
      store.notifications.settle(id, { attempts, status, ...change });
    switch (outcome.kind) {
      case "sent":
        return settle({ state: "sent", error: "" });
      case "refused":
        return store.atomically(() => {
          settle({ state: "failed", error: outcome.error });
          if (outcome.off)
            store.notifications.updateChannel(channelId, { on: false, trouble: outcome.error });
        });
      case "again": {
        const pause = pauseAfter(attempts, now() - queuedAt, random(), outcome.afterMs);
        return pause === undefined
          ? settle({ state: "failed", error: `Given up after a day. ${outcome.error}` })
          : settle({ nextAt: now() + pause, error: outcome.error });
      }
    }
  }

  /** Undefined where the server closes meanwhile: nothing is known of that try, and it is made again. */
  async function tried(channelId: number, message: NotificationMessage): Promise<SendOutcome | undefined> {
    try {
      return await send(store.notifications.settingsOf(channelId), message, signal);
    } catch (thrown) {
      if (signal.aborted) return undefined;
      log.error("a notification could not be sent", { channel: channelId, reason: messageOf(thrown) });
      const error =
        thrown instanceof CcwError ? thrown.message : "An internal error; the server's log says more.";
      return { kind: "again", status: 0, error };
    }
  }

  const messageFor = (delivery: Delivery, person: string): NotificationMessage => {
    const { messageId: id, kind, at, title, reason, taskId } = delivery;
    const url = `${publicUrl()}/${taskId === undefined ? "schedules" : `tasks/${taskId}`}`;
    return { ...{ id, kind, at, title, reason, taskId }, person, url };
  };

  function work(): void {
    if (signal.aborted) return;
    try {
      // Others take their turn between two stretches.
      if (collect()) ring();
      if (now() - prunedAt >= pruneEveryMs || now() < prunedAt) {
        prunedAt = now();
        store.notifications.prune(now() - keepMs, keepOfChannel);
      }
      const free = parallel - underway.size;
      for (const delivery of free > 0 ? store.notifications.due(free, [...underway.keys()]) : []) {
        const { channelId, id } = delivery;
        const done = deliver(delivery)
          .catch((thrown: unknown) => {
            log.error("a notification could not be settled", { id, reason: messageOf(thrown) });
          })
          .finally(() => {
            underway.delete(channelId);
            ring();
          });
        underway.set(channelId, done);
      }
    } catch (thrown) {
      log.error("notifications cannot be read; trying again", { reason: messageOf(thrown) });
    }
  }

  let due = false;
  /** After whoever wakes has gone on: nothing of this stands in a task's way. */
  const ring = () => {
    if (due || signal.aborted) return;
    due = true;
    setImmediate(() => {
      due = false;
      work();
    });
  };

  let timer: Timer | undefined;
  let off = () => {};
  return {
    start() {
      off = store.wakes.on("tasks", ring);
      timer = setInterval(ring, tickMs);
      ring();
    },
    async close() {
      stopped.abort();
      off();
      clearInterval(timer);
      await Promise.all(underway.values());
    },
    async test(channelId) {
      const channel = store.notifications.channel(channelId);
      const person = channel && store.people.get(channel.personId);
      if (person === undefined) throw new CcwError("not_found", "There is no such notification channel.");
      const last = tested.get(person.id);
      if (last !== undefined && now() - last < testPauseMs && now() >= last)
        throw new CcwError("rate_limited", "A test was sent a moment ago.", "Wait a few seconds.");
      tested.set(person.id, now());
      const messageId = `msg_test_${crypto.randomUUID()}`;
      const url = `${publicUrl()}/settings`;
      const text = {
        title: "ccw-server",
        reason: "This channel works: notifications of your tasks come here.",
      };
      const at = now();
      const outcome = await tried(channelId, {
        ...{ id: messageId, kind: "test", at, person: person.name, taskId: undefined, url, ...text },
      });
      if (outcome === undefined) throw new CcwError("unavailable", "The server is closing.");
      const { status } = outcome;
      const error = outcome.kind === "sent" ? "" : outcome.error;
      const state = outcome.kind === "sent" ? ("sent" as const) : ("failed" as const);
      if (store.notifications.channel(channelId) !== undefined)
        store.notifications.record({ channelId, messageId, state, status, error });
      return outcome;
    },
  };
}
