import { desc, eq } from "drizzle-orm";
import type { UsageStore } from "../domain/store.ts";
import type { StoreContext } from "./context.ts";
import { modelRequests } from "./schema.ts";

export function createUsageStore({ db, wakeAfterCommit }: StoreContext): UsageStore {
  return {
    record(request) {
      db.insert(modelRequests).values(request).run();
      wakeAfterCommit("tasks");
    },
    list: (taskId, limit) =>
      db
        .select()
        .from(modelRequests)
        .where(eq(modelRequests.taskId, taskId))
        .orderBy(desc(modelRequests.id))
        .limit(limit)
        .all()
        .reverse(),
  };
}
