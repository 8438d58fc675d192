import { and, count, desc, eq, gt, gte, inArray, lt, lte, sql } from "drizzle-orm";
import type { TaskEventBody } from "../domain/event.ts";
import type { TaskId } from "../domain/ids.ts";
import type { EventStore } from "../domain/store/events.ts";
import type { StoreContext } from "./context.ts";
import { events } from "./schema/events.ts";

/** What is read at once stands in memory several times: as text, as a value, and as JSON for each who looks on. */
const maxReadBytes = 2 * 1024 * 1024;

export function createEventStore(context: StoreContext): EventStore {
  const { db } = context;
  const columns = { seq: events.seq, taskId: events.taskId, at: events.at, body: events.body };

  /** As many of these rows, which stand in the order of reading, as may be read at once; the first in any case. */
  const fitting = (sizes: readonly { seq: number; bytes: number }[]): number | undefined => {
    let bytes = 0;
    let last: number | undefined;
    for (const row of sizes) {
      bytes += row.bytes;
      if (last !== undefined && bytes > maxReadBytes) break;
      last = row.seq;
    }
    return last;
  };
  // SQLite knows a value's length without reading it.
  const size = { seq: events.seq, bytes: sql<number>`octet_length(${events.body})` };

  return {
    append: (taskId, event) => appendEvent(context, taskId, event),
    after(taskId, seq, limit) {
      const above = and(eq(events.taskId, taskId), gt(events.seq, seq));
      const sizes = db.select(size).from(events).where(above).orderBy(events.seq).limit(limit).all();
      const last = fitting(sizes);
      if (last === undefined) return [];
      return db
        .select(columns)
        .from(events)
        .where(and(above, lte(events.seq, last)))
        .orderBy(events.seq)
        .all();
    },
    before(taskId, seq, limit) {
      const below = and(eq(events.taskId, taskId), lt(events.seq, seq));
      const sizes = db.select(size).from(events).where(below).orderBy(desc(events.seq)).limit(limit).all();
      const first = fitting(sizes);
      if (first === undefined) return [];
      return db
        .select(columns)
        .from(events)
        .where(and(below, gte(events.seq, first)))
        .orderBy(events.seq)
        .all();
    },
    count: (taskId, kind, after = 0) =>
      db
        .select({ n: count() })
        .from(events)
        .where(and(eq(events.taskId, taskId), eq(events.kind, kind), gt(events.seq, after)))
        .get()?.n ?? 0,
    ofKinds: (taskId, kinds) =>
      db
        .select(columns)
        .from(events)
        .where(and(eq(events.taskId, taskId), inArray(events.kind, [...kinds])))
        .orderBy(events.seq)
        .all(),
    last: (taskId, kind) =>
      db
        .select(columns)
        .from(events)
        .where(and(eq(events.taskId, taskId), eq(events.kind, kind)))
        .orderBy(desc(events.seq))
        .limit(1)
        .get(),
  };
}

export function appendEvent(
  { db, ids, wakeAfterCommit }: StoreContext,
  taskId: TaskId,
  body: TaskEventBody,
): void {
  db.insert(events).values({ taskId, at: ids.now(), kind: body.kind, body }).run();
  wakeAfterCommit(taskId);
}
