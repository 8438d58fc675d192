import { and, asc, desc, eq, inArray, sql } from "drizzle-orm";
import type { TaskId } from "../domain/ids.ts";
import type { AccessRequestStore } from "../domain/store/access-requests.ts";
import type { StoreContext } from "./context.ts";
import { appendEvent } from "./events.ts";
import { accessRequests } from "./schema/access-requests.ts";

export function createAccessRequestStore(
  { db, ids, wakeAfterCommit }: StoreContext,
  repeat: AccessRequestStore["repeat"],
): AccessRequestStore {
  const columns = {
    id: accessRequests.id,
    taskId: accessRequests.taskId,
    host: accessRequests.host,
    port: accessRequests.port,
    reason: accessRequests.reason,
    count: accessRequests.count,
    firstAt: accessRequests.firstAt,
    lastAt: accessRequests.lastAt,
    state: accessRequests.state,
  };
  return {
    ask({ taskId, host, port, reason }) {
      const now = ids.now();
      const pending = { stateKind: "pending", state: { kind: "pending" } } as const;
      const asked = db
        .insert(accessRequests)
        .values({ taskId, host, port, reason, count: 1, firstAt: now, lastAt: now, ...pending })
        .onConflictDoUpdate({
          target: [accessRequests.taskId, accessRequests.host, accessRequests.port],
          set: { reason, count: sql`${accessRequests.count} + 1`, lastAt: now, ...pending },
        })
        .returning(columns)
        .get();
      wakeAfterCommit("tasks");
      return asked;
    },
    repeat,
    get: (id) => db.select(columns).from(accessRequests).where(eq(accessRequests.id, id)).get(),
    list: ({ taskId, kinds, limit }) =>
      db
        .select(columns)
        .from(accessRequests)
        .where(
          and(
            taskId === undefined ? undefined : eq(accessRequests.taskId, taskId),
            kinds === undefined ? undefined : inArray(accessRequests.stateKind, [...kinds]),
          ),
        )
        .orderBy(desc(accessRequests.id))
        .limit(limit)
        .all(),
    waiting: (perTask, limit) =>
      db
        .select(columns)
        .from(accessRequests)
        .where(
          sql`${accessRequests.id} IN (
            SELECT id FROM (
              SELECT id, row_number() OVER (PARTITION BY task_id ORDER BY id DESC) AS place
              FROM access_requests WHERE state_kind = 'pending'
            ) WHERE place <= ${perTask}
          )`,
        )
        .orderBy(desc(accessRequests.id))
        .limit(limit)
        .all(),
    set(id, state) {
      db.update(accessRequests).set({ stateKind: state.kind, state }).where(eq(accessRequests.id, id)).run();
      // A grant that was taken changes nothing for anybody but the connection that has taken it.
      if (state.kind !== "used") wakeAfterCommit("policy");
      wakeAfterCommit("tasks");
    },
  };
}

/** Those that still wait, as their task ends; in the order in which they came. */
export function expireAccessRequests(context: StoreContext, taskId: TaskId): void {
  const { db, ids } = context;
  const waiting = and(eq(accessRequests.taskId, taskId), eq(accessRequests.stateKind, "pending"));
  const { id: requestId, host, port } = accessRequests;
  const expired = db
    .select({ requestId, host, port })
    .from(accessRequests)
    .where(waiting)
    .orderBy(asc(requestId))
    .all();
  const state = { kind: "expired", at: ids.now() } as const;
  db.update(accessRequests).set({ stateKind: state.kind, state }).where(waiting).run();
  for (const request of expired) appendEvent(context, taskId, { kind: "access_expired", ...request });
}
