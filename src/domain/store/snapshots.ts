import type { PromptId, TaskId } from "../ids.ts";

/** The state of a task after one of its turns. */
export interface Snapshot {
  taskId: TaskId;
  /** From 1, in the order of the task's turns; a roll back takes none away. */
  turn: number;
  promptId: PromptId;
  /** In the order of the task's repositories. */
  repositories: ({ commit: string; head: string } | null)[];
  /** Commit with the agent's conversation; empty where there is none. */
  session: string;
  at: number;
}

export interface SnapshotStore {
  /** Its turn is the next one. */
  add(snapshot: Omit<Snapshot, "turn" | "at">): Snapshot;
  /** Of a turn that is there: what it left has been committed since. */
  replace(taskId: TaskId, turn: number, change: Pick<Snapshot, "repositories" | "session">): void;
  get(taskId: TaskId, turn: number): Snapshot | undefined;
  list(taskId: TaskId): Snapshot[];
  last(taskId: TaskId): Snapshot | undefined;
}
