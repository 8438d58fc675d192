import { z } from "zod";
import type { GroupId, TaskId } from "./ids.ts";
import { modelNameSchema, newTaskSchema, type PullRequestWish } from "./task.ts";

const maxAttempts = 8;

/** One prompt for several sandboxes side by side, of whose work one is kept. */
export const newGroupSchema = newTaskSchema.extend({
  attempts: z
    .number()
    .int()
    .min(2, "A comparison has 2 attempts or more.")
    .max(maxAttempts, `A comparison has at most ${maxAttempts} attempts.`),
  /** Models that take turns, from the first attempt on; without any, all use `model`. */
  models: z.array(modelNameSchema).max(maxAttempts).default([]),
});
export type NewGroup = z.infer<typeof newGroupSchema>;

/** Several tasks of the same prompt. */
export interface TaskGroup {
  id: GroupId;
  title: string;
  prompt: string;
  person: string;
  attempts: number;
  /** Opened by itself for the one that is kept. */
  pullRequest: PullRequestWish;
  kept: TaskId | undefined;
  createdAt: number;
}

/** A task's place in its group. */
export interface Attempt {
  groupId: GroupId;
  /** From 1. */
  number: number;
  of: number;
  /** Undefined until one of them is. */
  kept: boolean | undefined;
}
