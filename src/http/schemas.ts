import { z } from "@hono/zod-openapi";
import { accessLevels, limitsSchema } from "../domain/environment.ts";
import { egressSchema } from "../domain/environment-egress.ts";
import type { Attempt } from "../domain/group.ts";
import { jsonSchema } from "../domain/json.ts";
import type { KeptWork } from "../domain/ports.ts";
import { type Prompt, promptStates, type TaskRow } from "../domain/store.ts";
import { agentModes, isDone, pauseReasons, pullRequestWishes, taskStateKinds } from "../domain/task.ts";
import { modelSources } from "../runs/model-settings.ts";
import { pullRequestBadgeSchema } from "./pull-request-schemas.ts";

/** JSON as it goes over the wire. Times are milliseconds since the epoch. */

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
    /** In words: why it failed, what came of it, who cancelled it. */
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

export function taskJson(task: TaskRow, kept: Pick<KeptWork, "of">): TaskJson {
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
    detail: detailOf(state),
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

export const repositorySchema = z
  .object({
    name: z.string(),
    kind: z.enum(["hosted", "remote"]),
    defaultBranch: z.string(),
    /** What tasks may do to their own branches beyond making them and moving them forward. */
    push: z.object({ force: z.boolean(), delete: z.boolean() }),
    createdAt: z.number(),
    /** For `git clone`: with a token as the password where the appliance hosts it. */
    url: z.string(),
    /** Of a remote one: the forge that it was added from, its path there, and its page, empty where it has none. */
    forge: z.string().optional(),
    path: z.string().optional(),
    webUrl: z.string().optional(),
  })
  .openapi("Repository");

export const environmentJsonSchema = z
  .object({
    name: z.string(),
    image: z.string(),
    access: z.enum(accessLevels),
    /** Names alone: values are not shown again. */
    variables: z.array(z.string()),
    setupScript: z.string(),
    limits: limitsSchema,
    egress: egressSchema,
    /** Names alone, too. */
    secrets: z.array(z.string()),
  })
  .openapi("Environment");

export const meSchema = z
  .object({
    name: z.string(),
    /** Stands in the commits of one's tasks; empty for an address that no mail goes to. */
    email: z
      .union([z.literal(""), z.email("That is not an e-mail address.").max(254)])
      .describe("For the author of commits"),
  })
  .openapi("Me");

export const statusSchema = z
  .object({
    version: z.string(),
    publicUrl: z.string(),
    engine: z.object({ ok: z.boolean(), text: z.string() }),
    model: z.object({
      kind: z.enum(["demo", "endpoint"]),
      /** The endpoint's base URL; empty for the demo model. */
      baseUrl: z.string(),
      source: z.enum(modelSources),
      /** Until when its account takes no requests, by its usage limit. */
      limitedUntil: z.number().optional(),
    }),
    /** Those that tasks can have. */
    agents: z.array(
      z.object({
        name: z.string(),
        title: z.string(),
        /** Its own names for the newest models. */
        models: z.array(z.string()),
      }),
    ),
    parallel: z.number().int(),
    active: z.number().int(),
    queued: z.number().int(),
    person: z.string(),
  })
  .openapi("Status");

export const tokenSchema = z
  .object({
    id: z.string(),
    kind: z.enum(["api", "session", "link"]),
    name: z.string(),
    person: z.string(),
    createdAt: z.number(),
    expiresAt: z.number().optional(),
  })
  .openapi("Token");

const errorSchema = z
  .object({ error: z.object({ code: z.string(), message: z.string(), hint: z.string() }) })
  .openapi("Error");

export function json<Schema extends z.ZodType>(schema: Schema, description: string) {
  return { content: { "application/json": { schema } }, description };
}

export function body<Schema extends z.ZodType>(schema: Schema) {
  return { content: { "application/json": { schema } }, required: true };
}

/** Every route may answer with an error of this shape. */
export const failures = { default: json(errorSchema, "What went wrong, why, and what to do") };
