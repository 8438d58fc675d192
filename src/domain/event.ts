import { z } from "zod";
import { jsonSchema } from "./json.ts";
import { agentModes, pauseReasons } from "./task.ts";

/**
 * What happens in a task, in order: the transcript. A guest event comes from the sandbox and is hostile until
 * parsed; an appliance event is written by the server itself. Both stand in one table with one cursor.
 */

/** The longest text one event carries; the guest splits or cuts longer ones and says so. */
export const maxEventText = 256 * 1024;
/** The longest line the control door takes from a guest, in bytes: text escaped by JSON, with room to spare. */
export const maxEventLine = 2 * 1024 * 1024;

/** What one sandbox may write into its transcript from one word of a person to the next, in bytes; days of work stay far below. */
export const maxTranscriptBytes = 256 * 1024 * 1024;
/** The longest question, as JSON: a task's questions are read together. */
const maxQuestion = maxEventText;

const text = z.string().max(maxEventText);
const id = z.string().min(1).max(200);
const objectId = z.string().regex(/^([0-9a-f]{40}|[0-9a-f]{64})$/);
const step = z.enum(["clone", "setup", "agent", "push"]);

/** What one turn used, by the agent's own word. Billing reads the model door's meter, never this. */
const usage = z.object({
  inputTokens: z.number().int().nonnegative(),
  outputTokens: z.number().int().nonnegative(),
});

export const guestEventSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("step_started"), step, detail: text }),
  z.object({ kind: z.literal("step_output"), step, text }),
  z.object({ kind: z.literal("step_done"), step, ms: z.number().nonnegative() }),
  /** The agent has taken the prompt: from here on it is never sent again. */
  z.object({ kind: z.literal("turn_started"), promptId: id }),
  /** A prompt that was sent at once reached the agent within the turn that runs: it becomes no turn of its own. */
  z.object({ kind: z.literal("prompt_taken"), promptId: id }),
  /**
   * The working files and the conversation as they are now, pushed to the appliance. Comes before the `turn_ended` of
   * the turn. `repositories`: in the order of the task's; null where nothing could be taken.
   */
  z.object({
    kind: z.literal("snapshot"),
    promptId: id,
    repositories: z.array(z.object({ commit: objectId, head: objectId }).nullable()).max(10),
    /** Of the conversation; empty where it could not be taken. */
    session: objectId.or(z.literal("")),
    ms: z.number().nonnegative(),
  }),
  z.object({ kind: z.literal("assistant_delta"), blockId: id, text }),
  /** The whole block; it replaces the deltas with the same blockId. */
  z.object({ kind: z.literal("assistant_text"), blockId: id, text }),
  z.object({ kind: z.literal("thinking"), blockId: id, text }),
  z.object({ kind: z.literal("tool_use"), toolUseId: id, name: z.string().max(200), input: jsonSchema }),
  z.object({
    kind: z.literal("tool_result"),
    toolUseId: id,
    isError: z.boolean(),
    text,
    /** Characters left out of `text`. */
    omitted: z.number().int().nonnegative(),
  }),
  /** The agent waits for a person. AskUserQuestion's input holds the questions; another tool asks for leave. */
  z.object({
    kind: z.literal("question"),
    requestId: id,
    tool: z.string().max(200),
    input: jsonSchema.refine((input) => JSON.stringify(input).length <= maxQuestion, "is too long"),
  }),
  z.object({ kind: z.literal("question_closed"), requestId: id }),
  z.object({
    kind: z.literal("turn_ended"),
    promptId: id,
    outcome: z.enum(["done", "error", "interrupted"]),
    text,
    usage,
  }),
  z.object({ kind: z.literal("notice"), level: z.enum(["info", "warning", "error"]), text }),
  /** A message of the agent that no schema knows, kept and shown as it came. */
  z.object({ kind: z.literal("unknown"), raw: jsonSchema }),
  z.object({
    kind: z.literal("pushed"),
    repository: z.string().max(200),
    branch: z.string().max(300),
    commit: z.string().max(64),
  }),
  /** All prompts are worked through: the work is pushed, or why not; or the guest cannot go on. `no_space`: a disk is full. */
  z.object({
    kind: z.literal("finished"),
    outcome: z.enum(["completed", "failed", "no_space"]),
    text,
    hint: text,
  }),
]);
export type GuestEvent = z.infer<typeof guestEventSchema>;

const pullRequest = {
  pullRequestId: id,
  repository: z.string(),
  number: z.number().int(),
  title: z.string(),
  /** Its page on the forge; empty for the appliance's own. */
  webUrl: z.string(),
  /** Who did it; empty where it was found on the forge, or the appliance did it by itself. */
  person: z.string(),
};

export const applianceEventSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("state"), state: z.string(), detail: z.string() }),
  z.object({
    kind: z.literal("prompt"),
    promptId: id,
    /** Empty where the appliance itself has something to say. */
    person: z.string(),
    text: z.string(),
    /** Names of the files that came with it. */
    attachments: z.array(z.string()).optional(),
  }),
  z.object({ kind: z.literal("prompt_removed"), promptId: id, person: z.string() }),
  z.object({ kind: z.literal("prompt_edited"), promptId: id, person: z.string(), text: z.string() }),
  /** `position`: its new place among those that wait, from 1. */
  z.object({
    kind: z.literal("prompt_moved"),
    promptId: id,
    person: z.string(),
    position: z.number().int().positive(),
  }),
  /** Not to wait for its turn. */
  z.object({ kind: z.literal("prompt_sent_now"), promptId: id, person: z.string() }),
  z.object({ kind: z.literal("answered"), requestId: id, person: z.string(), answer: jsonSchema }),
  z.object({ kind: z.literal("cancel_requested"), person: z.string() }),
  z.object({ kind: z.literal("interrupt_requested"), person: z.string() }),
  /** What was held goes on: the queue after an interruption, a task that was paused. */
  z.object({ kind: z.literal("resume_requested"), person: z.string() }),
  z.object({ kind: z.literal("model_changed"), person: z.string(), model: z.string() }),
  z.object({ kind: z.literal("mode_changed"), person: z.string(), mode: z.enum(agentModes) }),
  /** It cannot go on by itself; see PauseReason. */
  z.object({
    kind: z.literal("pause_requested"),
    why: z.enum(pauseReasons),
    reason: z.string(),
    hint: z.string(),
    until: z.number().optional(),
  }),
  z.object({ kind: z.literal("sandbox_asleep"), sandboxId: id, reason: z.string() }),
  z.object({ kind: z.literal("sandbox_removed"), sandboxId: id, reason: z.string() }),
  /** Its branch, files and conversation were fetched by a person, to go on with on a machine of theirs. */
  z.object({ kind: z.literal("teleported"), person: z.string() }),
  /** The task began as a conversation on a person's machine. */
  z.object({ kind: z.literal("handed_over"), person: z.string(), repository: z.string() }),
  /** The task began with the work of another one after a turn; `commits`: of its repositories, in their order. */
  z.object({
    kind: z.literal("forked"),
    person: z.string(),
    taskId: id,
    turn: z.number().int(),
    commits: z.array(z.string().nullable()),
  }),
  z.object({ kind: z.literal("rolled_back"), person: z.string(), turn: z.number().int() }),
  /**
   * The push that puts the branch where the rolled-back work stands, over the commit `over` (zeros for none): before it
   * goes on, and once more when it was `taken`.
   */
  z.object({
    kind: z.literal("rolled_back_push"),
    repository: z.string(),
    branch: z.string(),
    over: z.string(),
    commit: z.string(),
    taken: z.boolean(),
  }),
  z.object({ kind: z.literal("limit_reached"), reason: z.string(), hint: z.string() }),
  z.object({ kind: z.literal("sandbox_started"), sandboxId: id, engine: z.string(), image: z.string() }),
  z.object({ kind: z.literal("sandbox_died"), sandboxId: id, exitCode: z.number(), reason: z.string() }),
  z.object({ kind: z.literal("push_refused"), repository: z.string(), ref: z.string(), reason: z.string() }),
  z.object({ kind: z.literal("egress_refused"), target: z.string(), reason: z.string() }),
  /** Refused, and put before a person. */
  z.object({
    kind: z.literal("access_requested"),
    requestId: z.number().int(),
    host: z.string(),
    port: z.number().int(),
    reason: z.string(),
  }),
  z.object({
    kind: z.literal("access_granted"),
    requestId: z.number().int(),
    host: z.string(),
    port: z.number().int(),
    scope: z.enum(["once", "task", "environment"]),
    person: z.string(),
  }),
  z.object({
    kind: z.literal("access_denied"),
    requestId: z.number().int(),
    host: z.string(),
    port: z.number().int(),
    person: z.string(),
  }),
  /** The task ends, and nobody has decided. */
  z.object({
    kind: z.literal("access_expired"),
    requestId: z.number().int(),
    host: z.string(),
    port: z.number().int(),
  }),
  /** A person had pushed what the forge did not take at the task's end. */
  z.object({
    kind: z.literal("kept_pushed"),
    person: z.string(),
    repository: z.string(),
    branch: z.string(),
    /** Whether the branch is the task's own. */
    own: z.boolean(),
    commit: z.string(),
  }),
  z.object({ kind: z.literal("pull_request_opened"), ...pullRequest, draft: z.boolean() }),
  /** `detail`: what changed, in words. `failedChecks`: how many have failed, where none had before. */
  z.object({
    kind: z.literal("pull_request_updated"),
    ...pullRequest,
    detail: z.string(),
    failedChecks: z.number().int().positive().optional(),
  }),
  z.object({ kind: z.literal("pull_request_merged"), ...pullRequest }),
  z.object({ kind: z.literal("pull_request_closed"), ...pullRequest }),
  z.object({
    kind: z.literal("appliance_notice"),
    level: z.enum(["info", "warning", "error"]),
    text: z.string(),
  }),
]);
export type ApplianceEvent = z.infer<typeof applianceEventSchema>;

const taskEventBodySchema = z.union([guestEventSchema, applianceEventSchema]);
export type TaskEventBody = GuestEvent | ApplianceEvent;

/** A stored event. `seq` is the cursor: it only grows, over all tasks, and has no meaning but order. */
export const taskEventSchema = z.object({
  seq: z.number().int().positive(),
  taskId: z.string(),
  /** Milliseconds since the epoch, by the appliance's clock. */
  at: z.number(),
  body: taskEventBodySchema,
});
export type TaskEvent = { seq: number; taskId: string; at: number; body: TaskEventBody };
