import { and, desc, eq, max } from "drizzle-orm";
import type { SnapshotStore } from "../domain/store/snapshots.ts";
import type { StoreContext } from "./context.ts";
import { snapshots } from "./schema/snapshots.ts";

export function createSnapshotStore({ db, ids }: StoreContext): SnapshotStore {
  return {
    add(snapshot) {
      const last = db
        .select({ turn: max(snapshots.turn) })
        .from(snapshots)
        .where(eq(snapshots.taskId, snapshot.taskId))
        .get();
      const row = { ...snapshot, turn: (last?.turn ?? 0) + 1, at: ids.now() };
      db.insert(snapshots).values(row).run();
      return row;
    },
    replace(taskId, turn, { repositories, session }) {
      db.update(snapshots)
        .set({ repositories, session })
        .where(and(eq(snapshots.taskId, taskId), eq(snapshots.turn, turn)))
        .run();
    },
    get: (taskId, turn) =>
      db
        .select()
        .from(snapshots)
        .where(and(eq(snapshots.taskId, taskId), eq(snapshots.turn, turn)))
        .get(),
    list: (taskId) =>
      db.select().from(snapshots).where(eq(snapshots.taskId, taskId)).orderBy(snapshots.turn).all(),
    last: (taskId) =>
      db
        .select()
        .from(snapshots)
        .where(eq(snapshots.taskId, taskId))
        .orderBy(desc(snapshots.turn))
        .limit(1)
        .get(),
  };
}
