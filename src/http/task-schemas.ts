import { z } from "@hono/zod-openapi";
import type { Attempt } from "../domain/group.ts";
import { jsonSchema } from "../domain/json.ts";
import { type Prompt, promptStates } from "../domain/store/prompts.ts";
import type { TaskRow } from "../domain/store/tasks.ts";
import { agentModes, isDone, pauseReasons, pullRequestWishes, taskStateKinds } from "../domain/task.ts";
import type { HttpContext } from "./context.ts";
import { pullRequestBadgeSchema } from "./pull-request-schemas.ts";

/** A task and what belongs to it, as JSON. */

export const taskSchema = z
  .object({
    id: z.string(),
    title: z.string(),
    person: z.string(),
    environment: z.string(),
    agent: z.string(),
    model: z.string(),
    mode: z.enum(agentModes),
    repositories: z.array(z.object({ name: z.string(), baseBranch: z.string(), workBranch: z.string() })),
    /** Whether a pull request is still to be opened by itself. */
    pullRequest: z.enum(pullRequestWishes),
    pullRequests: z.array(pullRequestBadgeSchema),
    /** Work that its forge did not take at the task's end and that waits to be pushed; `until`: it is removed then. */
    kept: z.array(
      z.object({
        repository: z.string(),
        branch: z.string(),
        commit: z.string(),
        until: z.number().optional(),
      }),
    ),
    state: z.enum(taskStateKinds),
    /** In words: why it failed or is not started yet, what came of it, who cancelled it. */
    detail: z.string(),
    /** After an interruption: its prompts wait for a person's word. */
    held: z.boolean(),
    /** Of a task that is paused. `until`: when it goes on by itself. */
    paused: z
      .object({
        why: z.enum(pauseReasons),
        reason: z.string(),
        hint: z.string(),
        until: z.number().optional(),
      })
      .optional(),
    /** `asleep`: stopped, with everything in it; the next prompt wakes it. */
    sandbox: z.object({ state: z.enum(["awake", "asleep", "none"]) }),
    queuePosition: z.number().int().optional(),
    /** Since when it is left out of the list of tasks. */
    archivedAt: z.number().optional(),
    /** Of one that was deleted. `removeAt`: until then it can be restored. */
    deletion: z.object({ at: z.number(), removeAt: z.number() }).optional(),
    /** Where it is one of several attempts at the same prompt. */
    attempt: z
      .object({
        groupId: z.string(),
        number: z.number().int(),
        of: z.number().int(),
        /** Left out until one of them is. */
        kept: z.boolean().optional(),
      })
      .optional(),
    createdAt: z.number(),
    updatedAt: z.number(),
    inputTokens: z.number().int(),
    outputTokens: z.number().int(),
    /** US dollars, without the requests that had no price. */
    costUsd: z.number(),
    unpricedRequests: z.number().int(),
  })
  .openapi("Task");
export type TaskJson = z.infer<typeof taskSchema>;

export function taskJson(
  task: TaskRow,
  { kept, reasonFor }: Pick<HttpContext, "kept" | "reasonFor">,
): TaskJson {
  const { state, person, queuePosition, sandbox, attempt, costNano, unpriced, restore: _, ...row } = task;
  const { archivedAt, deletion, ...rest } = row;
  return {
    ...rest,
    person: person.name,
    kept: (isDone(state.kind) ? kept.of(task) : []).map(({ until, ...each }) => ({
      ...each,
      ...(until !== undefined && { until }),
    })),
    state: state.kind,
    detail: state.kind === "queued" ? reasonFor(task) : detailOf(state),
    ...(state.kind === "paused" && { paused: pausedJson(state) }),
    sandbox: { state: sandbox },
    costUsd: costNano / 1e9,
    unpricedRequests: unpriced,
    ...(queuePosition !== undefined && { queuePosition }),
    ...(archivedAt !== undefined && { archivedAt }),
    ...(deletion !== undefined && { deletion }),
    ...(attempt !== undefined && { attempt: attemptJson(attempt) }),
  };
}

function pausedJson({ why, reason, hint, until }: Extract<TaskRow["state"], { kind: "paused" }>) {
  return { why, reason, hint, ...(until !== undefined && { until }) };
}

function attemptJson({ kept, ...attempt }: Attempt): NonNullable<TaskJson["attempt"]> {
  return { ...attempt, ...(kept !== undefined && { kept }) };
}

function detailOf(state: TaskRow["state"]): string {
  switch (state.kind) {
    case "idle":
    case "completed":
      return state.summary;
    case "paused":
    case "failed":
      return [state.reason, state.hint].filter(Boolean).join(" ");
    case "cancelled":
      return `Cancelled by ${state.by}.`;
    case "waiting":
      return "The agent asks a question.";
    case "queued":
    case "starting":
    case "running":
    case "finishing":
      return "";
  }
}

export const questionSchema = z
  .object({
    requestId: z.string(),
    tool: z.string(),
    input: jsonSchema,
    askedAt: z.number(),
  })
  .openapi("Question");

export const attachmentSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    /** By its bytes. */
    mediaType: z.string(),
    bytes: z.number().int(),
  })
  .openapi("Attachment");

export const promptSchema = z
  .object({
    id: z.string(),
    person: z.string(),
    text: z.string(),
    state: z.enum(promptStates),
    /** Of one that waits: its place in the queue, from 1. */
    position: z.number().int().optional(),
    /** Sent within a turn that ran. */
    now: z.boolean(),
    attachments: z.array(attachmentSchema),
    createdAt: z.number(),
  })
  .openapi("Prompt");

/** A task's prompts in the order of the store: those that wait come last, in the order of the queue. */
export function promptsJson(prompts: readonly Prompt[]) {
  let waiting = 0;
  return prompts.map(({ taskId: _, ...prompt }) => ({
    ...prompt,
    ...(prompt.state === "queued" && { position: ++waiting }),
  }));
}

export const diffSchema = z
  .object({
    repository: z.string(),
    baseBranch: z.string(),
    workBranch: z.string(),
    /** Whether the work branch has been pushed. */
    pushed: z.boolean(),
    /** A unified diff, as git prints it. */
    diff: z.string(),
    truncated: z.boolean(),
  })
  .openapi("Diff");
