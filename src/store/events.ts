import { and, desc, eq, gt, inArray } from "drizzle-orm";
import type { TaskEventBody } from "../domain/event.ts";
import type { TaskId } from "../domain/ids.ts";
import type { EventStore } from "../domain/store.ts";
import type { StoreContext } from "./context.ts";
import { events } from "./schema.ts";

export function createEventStore(context: StoreContext): EventStore {
  const { db } = context;
  const columns = { seq: events.seq, taskId: events.taskId, at: events.at, body: events.body };
  return {
    append: (taskId, event) => appendEvent(context, taskId, event),
    after: (taskId, seq, limit) =>
      db
        .select(columns)
        .from(events)
        .where(and(eq(events.taskId, taskId), gt(events.seq, seq)))
        .orderBy(events.seq)
        .limit(limit)
        .all(),
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
