import type { TaskGroup } from "../group.ts";
import type { GroupId, TaskId } from "../ids.ts";
import type { TaskRow } from "./tasks.ts";

export interface GroupStore {
  add(group: Omit<TaskGroup, "kept" | "createdAt">): void;
  get(id: GroupId): TaskGroup | undefined;
  /** In the order of their numbers. */
  tasks(id: GroupId): TaskRow[];
  /** This one is kept, and gets the pull request that was wished for. `conflict` where another one was. */
  keep(id: GroupId, taskId: TaskId): void;
}
