import type { ApplianceEvent, TaskEvent } from "../event.ts";
import type { TaskId } from "../ids.ts";

export interface EventStore {
  append(taskId: TaskId, event: ApplianceEvent): void;
  /**
   * Above `seq`, in order: none where there are none, else as many as `limit` and some MiB allow, so fewer than
   * `limit` does not mean that there are no more.
   */
  after(taskId: TaskId, seq: number, limit: number): TaskEvent[];
  /** The last ones below `seq`, in order, as many as `limit` and some MiB allow. */
  before(taskId: TaskId, seq: number, limit: number): TaskEvent[];
  /** Of those behind the event `after`. */
  count(taskId: TaskId, kind: TaskEvent["body"]["kind"], after?: number): number;
  /** All of some kinds, in order; for kinds of which a task has few. */
  ofKinds(taskId: TaskId, kinds: readonly TaskEvent["body"]["kind"][]): TaskEvent[];
  /** The newest of one kind, undefined where none is. */
  last(taskId: TaskId, kind: TaskEvent["body"]["kind"]): TaskEvent | undefined;
}
