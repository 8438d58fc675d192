import {
  and,
  asc,
  between,
  count,
  desc,
  eq,
  gt,
  inArray,
  lt,
  lte,
  max,
  ne,
  notInArray,
  or,
  type SQL,
  sql,
} from "drizzle-orm";
import { notableEvents } from "../domain/notice.ts";
import type { Delivery } from "../domain/notification.ts";
import type { NotificationStore } from "../domain/store/notifications.ts";
import type { StoreContext } from "./context.ts";
import { createChannelStore } from "./notification-channels.ts";
import { events } from "./schema/events.ts";
import {
  notificationChannels as channels,
  notificationCursor,
  notifications,
} from "./schema/notifications.ts";

/** How many events are looked at in one go: most of them are an agent's output, and mean nothing here. */
const maxStretch = 5000;
/** A receiver that is away for a day takes no more than this from anybody's disk. */
const maxPending = 1000;
const maxPauseMs = 2 * 3600_000;
/** What follows a state in this time follows from it. */
const atOnceMs = 1000;
/** A sandbox may ask for ever new hosts; a person is told so once in this time. */
const accessPauseMs = 5 * 60_000;

export function createNotificationStore(context: StoreContext): NotificationStore {
  const { db, ids } = context;
  const countWhere = (where: SQL | undefined) =>
    db.select({ n: count() }).from(notifications).where(where).get()?.n ?? 0;

  return {
    ...createChannelStore(context),

    cursor() {
      const seq = db.select().from(notificationCursor).get()?.seq;
      if (seq !== undefined) return seq;
      // What happened before there were notifications is no news.
      const newest =
        db
          .select({ seq: max(events.seq) })
          .from(events)
          .get()?.seq ?? 0;
      db.insert(notificationCursor).values({ id: 1, seq: newest }).run();
      return newest;
    },
    setCursor(seq) {
      db.update(notificationCursor).set({ seq }).where(eq(notificationCursor.id, 1)).run();
    },
    notable(seq) {
      const newest =
        db
          .select({ seq: max(events.seq) })
          .from(events)
          .get()?.seq ?? 0;
      const upTo = Math.max(seq, Math.min(newest, seq + maxStretch));
      if (upTo === seq) return { events: [], upTo };
      const found = db
        .select({ seq: events.seq, taskId: events.taskId, at: events.at, body: events.body })
        .from(events)
        // The plus keeps SQLite to the order of the rows: by kind it would go through all there ever were.
        .where(
          and(gt(events.seq, seq), lte(events.seq, upTo), inArray(sql`+${events.kind}`, [...notableEvents])),
        )
        .orderBy(events.seq)
        .all();
      return { events: found, upTo };
    },
    statesAround(taskId, { seq, at }) {
      const state = (where: SQL, order: SQL) => {
        const body = db
          .select({ body: events.body })
          .from(events)
          .where(and(eq(events.taskId, taskId), eq(events.kind, "state"), where))
          .orderBy(order)
          .limit(1)
          .get()?.body;
        return body?.kind === "state" ? body.state : undefined;
      };
      return {
        before: state(lt(events.seq, seq), desc(events.seq)),
        after: state(sql`${events.seq} > ${seq} AND ${events.at} <= ${at + atOnceMs}`, asc(events.seq)),
      };
    },
    queue(personId, event, { kind, title, reason }) {
      const now = ids.now();
      const { seq, taskId, at = now } = event ?? {};
      const mine = db
        .select()
        .from(channels)
        .where(and(eq(channels.personId, personId), eq(channels.on, true)))
        .all();
      for (const { id, kinds } of mine) {
        if (!kinds.includes(kind)) continue;
        const ofChannel = eq(notifications.channelId, id);
        const told =
          kind === "access" && taskId !== undefined
            ? countWhere(
                and(
                  ...[ofChannel, eq(notifications.taskId, taskId), eq(notifications.kind, "access")],
                  between(notifications.createdAt, now - accessPauseMs, now),
                ),
              )
            : 0;
        if (told > 0) continue;
        const isFull = countWhere(and(ofChannel, eq(notifications.state, "pending"))) >= maxPending;
        db.insert(notifications)
          .values({
            ...{ channelId: id, eventSeq: seq, messageId: newMessageId(), taskId },
            ...{ kind, title, reason, at, createdAt: now, nextAt: now },
            ...(isFull
              ? { state: "failed", error: `${maxPending} others wait on this channel.`, endedAt: now }
              : { state: "pending" }),
          })
          .onConflictDoNothing()
          .run();
      }
    },
    due(limit, exceptChannels) {
      const first = sql`(SELECT min(first.id) FROM notifications first WHERE first.channel_id = ${channels.id} AND first.state = 'pending')`;
      return db
        .select({ notification: notifications })
        .from(channels)
        .innerJoin(notifications, eq(notifications.id, first))
        .where(and(isDue(ids.now()), notInArray(channels.id, [...exceptChannels])))
        .orderBy(notifications.nextAt)
        .limit(limit)
        .all()
        .map(({ notification }) => deliveryOf(notification));
    },
    settle(id, change) {
      const ended = change.state !== undefined && change.state !== "pending";
      db.update(notifications)
        .set({ ...change, ...(ended && { endedAt: ids.now() }) })
        .where(and(eq(notifications.id, id), eq(notifications.state, "pending")))
        .run();
    },
    record({ channelId, messageId, state, status, error }) {
      const now = ids.now();
      db.insert(notifications)
        .values({
          ...{ channelId, messageId, state, status, error, kind: "test", title: "", reason: "" },
          ...{ at: now, createdAt: now, nextAt: now, endedAt: now, attempts: 1 },
        })
        .run();
    },
    log(personId, limit, channelId) {
      const mine = db.select({ id: channels.id }).from(channels).where(eq(channels.personId, personId));
      return db
        .select()
        .from(notifications)
        .where(
          and(
            inArray(notifications.channelId, mine),
            channelId === undefined ? undefined : eq(notifications.channelId, channelId),
          ),
        )
        .orderBy(desc(notifications.id))
        .limit(limit)
        .all()
        .map(deliveryOf);
    },
    prune(time, perChannel) {
      const ended = ne(notifications.state, "pending");
      db.delete(notifications)
        .where(and(ended, lt(notifications.endedAt, time)))
        .run();
      for (const { id } of db.select({ id: channels.id }).from(channels).all()) {
        const oldest = db
          .select({ id: notifications.id })
          .from(notifications)
          .where(and(eq(notifications.channelId, id), ended))
          .orderBy(desc(notifications.id))
          .limit(1)
          .offset(perChannel)
          .get();
        if (oldest === undefined) continue;
        db.delete(notifications)
          .where(and(eq(notifications.channelId, id), ended, lte(notifications.id, oldest.id)))
          .run();
      }
    },
  };

  function newMessageId(): string {
    return `msg_${Buffer.from(ids.randomBytes(15)).toString("hex")}`;
  }
}

/** No pause is so long as to end beyond `maxPauseMs`, unless the clock was set back meanwhile. */
const isDue = (now: number) => or(lte(notifications.nextAt, now), gt(notifications.nextAt, now + maxPauseMs));

function deliveryOf({
  eventSeq: _,
  createdAt,
  taskId,
  endedAt,
  ...row
}: typeof notifications.$inferSelect): Delivery {
  return { ...row, queuedAt: createdAt, taskId: taskId ?? undefined, endedAt: endedAt ?? undefined };
}
