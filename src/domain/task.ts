import { z } from "zod";
import { CcwError } from "./errors.ts";
import type { PersonId, SandboxId, TaskId } from "./ids.ts";

/**
 * A task's state: how its work stands. Where its sandbox is, awake or asleep, stands with the sandbox. Legal ways:
 *
 *     queued → starting → running ⇄ waiting
 *                 │          └→ finishing → idle → completed
 *                 └→ queued (nothing has run yet, and nothing can for now)
 *
 * - From every state of work to `starting` again when its sandbox is lost; to `failed` or `cancelled`.
 * - To `paused` from wherever it cannot go on by itself: a usage limit, a budget, a sandbox that died again and again,
 *   a person's interruption. A person's word, or the time that it waits for, puts it back.
 * - From `completed`, `failed`, `cancelled` and `paused` back to `queued` with the next prompt.
 */
export type TaskState =
  | { kind: "queued" }
  | { kind: "starting"; sandboxId: SandboxId }
  | { kind: "running"; sandboxId: SandboxId }
  | { kind: "waiting"; sandboxId: SandboxId; requestId: string }
  | { kind: "finishing"; sandboxId: SandboxId }
  /** Nothing is left to do, and the sandbox is awake for the next prompt. `interrupted`: a person stopped the turn. */
  | { kind: "idle"; sandboxId: SandboxId; summary: string; interrupted: boolean }
  | { kind: "paused"; why: PauseReason; reason: string; hint: string; until?: number | undefined }
  | { kind: "completed"; summary: string }
  | { kind: "failed"; reason: string; hint: string }
  | { kind: "cancelled"; by: string };

/**
 * `usage_limit`: of the model account, until the time that its endpoint named. `budget`: of the task, its person or the
 * day. `broken`: its sandbox died too often in a row. `interrupted`: by a person, and its sandbox sleeps by now.
 * `no_space`: a disk is full; it is tried again after a while. `questions`: its agent asks too many.
 */
export const pauseReasons = [
  "interrupted",
  "usage_limit",
  "budget",
  "broken",
  "no_space",
  "questions",
] as const;
export type PauseReason = (typeof pauseReasons)[number];

export type TaskStateKind = TaskState["kind"];

export const taskStateKinds = [
  "queued",
  "starting",
  "running",
  "waiting",
  "finishing",
  "idle",
  "paused",
  "completed",
  "failed",
  "cancelled",
] as const satisfies readonly TaskStateKind[];

/** Its sandbox is awake, or is being woken: it holds one of the appliance's places. */
export const activeStateKinds = ["starting", "running", "waiting", "finishing", "idle"] as const;
export type ActiveState = Extract<TaskState, { sandboxId: SandboxId }>;

const outOfWork = ["starting", "paused", "failed", "cancelled"] as const;

const legal: Record<TaskStateKind, readonly TaskStateKind[]> = {
  queued: ["starting", "paused", "failed", "cancelled"],
  starting: ["running", "queued", ...outOfWork],
  running: ["waiting", "finishing", "idle", ...outOfWork],
  waiting: ["running", "finishing", "idle", ...outOfWork],
  finishing: ["running", "idle", ...outOfWork],
  idle: ["running", "completed", ...outOfWork],
  paused: ["queued", "failed", "cancelled"],
  completed: ["queued"],
  failed: ["queued"],
  cancelled: ["queued"],
};

export function canMove(from: TaskStateKind, to: TaskStateKind): boolean {
  return legal[from].includes(to);
}

export function isActive(state: TaskState): state is ActiveState {
  return "sandboxId" in state;
}

/** It rests: nothing happens to it any more unless a person, or a pull request that is followed, asks for it. */
export function isEnded(kind: TaskStateKind): boolean {
  return kind === "completed" || kind === "failed" || kind === "cancelled";
}

/** Nothing happens in it, and no sandbox is awake for it: it can be put away, or deleted. */
export function isAtRest(kind: TaskStateKind): boolean {
  return kind === "paused" || isEnded(kind);
}

/** Its work is over and handed back, whether its sandbox is awake still or not. */
export function isDone(kind: TaskStateKind): boolean {
  return kind === "idle" || isEnded(kind);
}

/**
 * How the agent is allowed to act, in the words of its own CLI. `plan`: it reads and proposes, and changes nothing until
 * a person has approved its plan.
 */
export const agentModes = ["act", "plan"] as const;
export type AgentMode = (typeof agentModes)[number];

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
  mode: AgentMode;
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
    "The prompt is over 1 MiB. Put long material into a file, attach it, and name it in the prompt.",
  );

/** As the agent CLI takes it; empty for the appliance's default. */
export const modelNameSchema = z
  .string()
  .max(200)
  .regex(
    /^([A-Za-z0-9][\w.:/@[\]-]*)?$/,
    "That is not a model's name: it has letters, digits and . _ : / @ [ ] - alone, and begins with a letter or digit.",
  );

export const maxAttachments = 20;
export const attachmentIdsSchema = z
  .array(z.string().max(100))
  .max(maxAttachments, `A prompt takes at most ${maxAttachments} attachments.`)
  .default([]);

export const newTaskSchema = z.object({
  prompt: promptTextSchema,
  /** Optional: what no repository needs (a question, an experiment) runs without one. */
  repositories: z
    .array(z.object({ name: z.string(), baseBranch: z.string().optional() }))
    .max(10, "A task takes at most 10 repositories.")
    .default([]),
  environment: z.string().default("default"),
  agent: z.string().default("claude"),
  model: modelNameSchema.default(""),
  mode: z.enum(agentModes).default("act"),
  /** Uploaded before, for the first prompt. */
  attachments: attachmentIdsSchema,
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
