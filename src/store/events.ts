import { and, asc, count, desc, eq, gt, gte, inArray, lt, lte, type SQL, sql } from "drizzle-orm";
import type { TaskEventBody } from "../domain/event.ts";
import type { TaskId } from "../domain/ids.ts";
import type { EventStore } from "../domain/store.ts";
import type { StoreContext } from "./context.ts";
import { events } from "./schema.ts";

/** What is read at once stands in memory several times: as text, as a value, and as JSON for each who looks on. */
const maxReadBytes = 2 * 1024 * 1024;

export function createEventStore(context: StoreContext): EventStore {
  const { db } = context;
  const columns = { seq: events.seq, taskId: events.taskId, at: events.at, body: events.body };

  /** How far a portion reaches that begins at the first of these; at least one, if there is one. */
  const endOfPortion = (which: SQL | undefined, order: SQL, limit: number): number | undefined => {
    // SQLite knows a value's length without reading it.
    const sizes = db
      .select({ seq: events.seq, bytes: sql<number>`octet_length(${events.body})` })
      .from(events)
      .where(which)
      .orderBy(order)
      .limit(limit)
      .all();
    let bytes = 0;
    let end: number | undefined;
    for (const row of sizes) {
      bytes += row.bytes;
      if (end !== undefined && bytes > maxReadBytes) break;
      end = row.seq;
    }
    return end;
  };
  const read = (which: SQL | undefined) =>
    db.select(columns).from(events).where(which).orderBy(events.seq).all();

  return {
    append: (taskId, event) => appendEvent(context, taskId, event),
    after(taskId, seq, limit) {
      const above = and(eq(events.taskId, taskId), gt(events.seq, seq));
      const last = endOfPortion(above, asc(events.seq), limit);
      return last === undefined ? [] : read(and(above, lte(events.seq, last)));
    },
    before(taskId, seq, limit) {
      const below = and(eq(events.taskId, taskId), lt(events.seq, seq));
      const first = endOfPortion(below, desc(events.seq), limit);
      return first === undefined ? [] : read(and(below, gte(events.seq, first)));
    },
    count: (taskId, kind) =>
      db
        .select({ n: count() })
        .from(events)
        .where(and(eq(events.taskId, taskId), eq(events.kind, kind)))
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
