import type { SandboxId, TaskId } from "../ids.ts";

/** Wake-ups carry nothing: whoever wakes reads the database. A slow listener delays nobody. */
export interface Wakes {
  on(topic: WakeTopic, listener: () => void): () => void;
  wake(topic: WakeTopic): void;
}

/**
 * One task's events, one sandbox's commands, the list of tasks (with what is asked of a person), which tokens are in
 * force, what egress policies are made of, or when schedules are due.
 */
export type WakeTopic = TaskId | SandboxId | "tasks" | "tokens" | "policy" | "schedules";
