import type { TaskId } from "../ids.ts";
import type { SandboxRecord } from "./sandboxes.ts";
import type { TaskRow } from "./tasks.ts";

/** Tasks that people have deleted. Nothing else sees them. */
export interface DeletionStore {
  /** It is gone for everybody; restored or removed by these verbs alone. */
  mark(id: TaskId, removeAt: number): void;
  get(id: TaskId): TaskRow | undefined;
  /** It is there again, as it was. */
  restore(id: TaskId): void;
  /** Some of those whose time has come, but whose work no other task is still to begin with. */
  due(now: number): TaskId[];
  /** It can be restored no more: parts of it may be gone from here on. */
  begin(id: TaskId): void;
  /**
   * Removes at most `limit` rows of it, the task's own last, and says whether there are more. What the task has used
   * stays in the sums, and its branches and pull requests where they are kept.
   */
  removePortion(id: TaskId, limit: number): boolean;
  /** Sandboxes that sleep for a task that was archived or deleted. */
  putAway(): Pick<SandboxRecord, "id" | "taskId">[];
}
