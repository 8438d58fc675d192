import { z } from "zod";
import { CcwError } from "./errors.ts";
import type { PersonId, SandboxId, TaskId } from "./ids.ts";

/**
 * A task's state. Legal ways through it:
 *
 *     queued → starting → running ⇄ waiting
 *                 │          └→ finishing → completed
 *                 └→ queued (the server died before anything ran)
 *
 * and from every state but the last three to `failed` or `cancelled`. A completed task whose pull request is followed
 * goes back to `queued` for one more prompt, by a verb of its own (`TaskStore.reopen`).
 */
export type TaskState =
  | { kind: "queued" }
  | { kind: "starting"; sandboxId: SandboxId }
  | { kind: "running"; sandboxId: SandboxId }
  | { kind: "waiting"; sandboxId: SandboxId; requestId: string }
  | { kind: "finishing"; sandboxId: SandboxId }
  | { kind: "completed"; summary: string }
  | { kind: "failed"; reason: string; hint: string }
  | { kind: "cancelled"; by: string };

export type TaskStateKind = TaskState["kind"];

export const taskStateKinds = [
  "queued",
  "starting",
  "running",
  "waiting",
  "finishing",
  "completed",
  "failed",
  "cancelled",
] as const satisfies readonly TaskStateKind[];

export const activeStateKinds = ["starting", "running", "waiting", "finishing"] as const;
export type ActiveState = Extract<TaskState, { sandboxId: SandboxId }>;

const legal: Record<TaskStateKind, readonly TaskStateKind[]> = {
  queued: ["starting", "failed", "cancelled"],
  starting: ["running", "queued", "failed", "cancelled"],
  running: ["waiting", "finishing", "failed", "cancelled"],
  waiting: ["running", "finishing", "failed", "cancelled"],
  finishing: ["completed", "failed", "cancelled"],
  completed: [],
  failed: [],
  cancelled: [],
};

export function canMove(from: TaskStateKind, to: TaskStateKind): boolean {
  return legal[from].includes(to);
}

export function isActive(state: TaskState): state is ActiveState {
  return "sandboxId" in state;
}

export function isEnded(kind: TaskStateKind): boolean {
  return legal[kind].length === 0;
}

/** One repository of a task: its name on the appliance, where the work starts from, and the task's own branch. */
export interface TaskRepository {
  name: string;
  baseBranch: string;
  workBranch: string;
}

/** Whether a pull request is opened by itself when the task completes. */
export const pullRequestWishes = ["none", "draft", "ready"] as const;
export type PullRequestWish = (typeof pullRequestWishes)[number];

export interface Task {
  id: TaskId;
  title: string;
  person: { id: PersonId; name: string };
  environment: string;
  agent: string;
  /** Model name as the agent CLI takes it; empty for the appliance's default. */
  model: string;
  repositories: TaskRepository[];
  /** `none` again once it was carried out. */
  pullRequest: PullRequestWish;
  state: TaskState;
  /** Milliseconds since the epoch. */
  createdAt: number;
  updatedAt: number;
}

/** 1 MiB of text is far beyond what a model takes, and small enough for one row. */
export const maxPromptBytes = 1024 * 1024;

export const promptTextSchema = z
  .string()
  .refine((text) => text.trim() !== "", "The prompt is empty. Say in plain words what is to be done.")
  .refine(
    (text) => Buffer.byteLength(text) <= maxPromptBytes,
    "The prompt is over 1 MiB. Put long material into a file of the repository and name the file in the prompt.",
  );

export const newTaskSchema = z.object({
  prompt: promptTextSchema,
  /** Optional: what no repository needs (a question, an experiment) runs without one. */
  repositories: z
    .array(z.object({ name: z.string(), baseBranch: z.string().optional() }))
    .max(10, "A task takes at most 10 repositories.")
    .default([]),
  environment: z.string().default("default"),
  agent: z.string().default("claude"),
  model: z.string().max(200).default(""),
  pullRequest: z.enum(pullRequestWishes).default("none"),
});
export type NewTask = z.infer<typeof newTaskSchema>;

/** The first line of a prompt, cut at a word, as the task's title. */
export function titleOf(prompt: string): string {
  const line =
    prompt
      .trim()
      .split("\n", 1)[0]
      ?.replace(/[\p{Cc}\p{Cf}]/gu, " ")
      .trim() ?? "";
  if (line.length <= 80) return line;
  const cut = line.slice(0, 80);
  const space = cut.lastIndexOf(" ");
  return `${space > 40 ? cut.slice(0, space) : cut}…`;
}

/**
 * The task's own branch: `claude/<slug>-<end of the id>`. The slug keeps [a-z0-9-] only, so the name needs no
 * quoting anywhere; the id's end keeps two tasks with one title apart.
 */
export function workBranchOf(title: string, id: TaskId): string {
  const slug = title
    .normalize("NFKD")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 40)
    .replace(/-+$/, "");
  return `claude/${slug === "" ? "task" : slug}-${id.slice(-6)}`;
}

export function illegalMove(from: TaskStateKind, to: TaskStateKind): CcwError {
  return new CcwError("conflict", `A task that is ${from} cannot become ${to}.`);
}
