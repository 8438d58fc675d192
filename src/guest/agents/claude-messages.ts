import { z } from "zod";
import { jsonSchema } from "../../domain/json.ts";

/**
 * What the Claude Code CLI 2.1 writes with `--output-format stream-json`, as far as we read it. Types as published
 * in `@anthropic-ai/claude-agent-sdk` (sdk.d.ts, `SDKMessage` and the control protocol), checked against recorded
 * streams. Fields that we do not use are left out; a message of another shape is not an error but unknown.
 */

const contentBlock = z.union([
  z.object({ type: z.literal("text"), text: z.string() }),
  z.object({ type: z.literal("thinking"), thinking: z.string() }),
  z.object({ type: z.literal("redacted_thinking") }),
  z.object({ type: z.literal("tool_use"), id: z.string().min(1), name: z.string(), input: jsonSchema }),
  z.object({
    type: z.literal("tool_result"),
    tool_use_id: z.string().min(1),
    is_error: z.boolean().optional(),
    content: z
      .union([z.string(), z.array(z.looseObject({ type: z.string(), text: z.string().optional() }))])
      .optional(),
  }),
  z.record(z.string(), jsonSchema).transform((raw) => ({ type: "other" as const, raw })),
]);
export type ContentBlock = z.infer<typeof contentBlock>;

const streamEvent = z.union([
  z.object({ type: z.literal("message_start"), message: z.object({ id: z.string() }) }),
  z.object({
    type: z.literal("content_block_delta"),
    index: z.number().int().nonnegative(),
    delta: z.union([
      z.object({ type: z.literal("text_delta"), text: z.string() }),
      z.object({
        type: z.enum(["input_json_delta", "thinking_delta", "signature_delta", "citations_delta"]),
      }),
    ]),
  }),
  z.object({
    type: z.enum(["content_block_start", "content_block_stop", "message_delta", "message_stop", "ping"]),
  }),
]);

const permissionRequest = z.object({
  subtype: z.literal("can_use_tool"),
  tool_name: z.string(),
  input: z.record(z.string(), jsonSchema),
  decision_reason: z.string().optional(),
});

const systemMessage = z.discriminatedUnion("subtype", [
  z.object({ type: z.literal("system"), subtype: z.literal("init") }),
  z.object({
    type: z.literal("system"),
    subtype: z.literal("api_retry"),
    attempt: z.number(),
    max_retries: z.number(),
    retry_delay_ms: z.number(),
    error_status: z.number().nullable(),
    error: z.string(),
  }),
  z.object({ type: z.literal("system"), subtype: z.literal("compact_boundary") }),
  z.object({
    type: z.literal("system"),
    subtype: z.literal("hook_response"),
    hook_name: z.string(),
    output: z.string(),
    outcome: z.enum(["success", "error", "cancelled"]),
  }),
  z.object({
    type: z.literal("system"),
    subtype: z.literal("task_notification"),
    status: z.string(),
    /** Empty for a command that the turn waited for: its tool result says the same. */
    output_file: z.string(),
    summary: z.string(),
  }),
  z.object({
    type: z.literal("system"),
    subtype: z.enum([
      "informational",
      "local_command_output",
      "model_refusal_fallback",
      "model_refusal_no_fallback",
    ]),
    content: z.string(),
  }),
  z.object({ type: z.literal("system"), subtype: z.literal("notification"), text: z.string() }),
  // Progress for spinners, and what other messages say as well.
  z.object({
    type: z.literal("system"),
    subtype: z.literal("status"),
    /** There where it has changed, whoever changed it. */
    permissionMode: z.string().optional(),
  }),
  z.object({
    type: z.literal("system"),
    subtype: z.enum([
      "thinking_tokens",
      "hook_started",
      "hook_progress",
      "task_started",
      "task_updated",
      "task_progress",
      "session_state_changed",
      "commands_changed",
      "files_persisted",
    ]),
  }),
]);

/** The tool call that a sub-agent works for; null in the agent's own messages. */
const parent = z.string().nullable().catch(null);
const count = z.number().int().nonnegative().catch(0);

export const claudeMessageSchema = z.discriminatedUnion("type", [
  systemMessage,
  z.object({
    type: z.literal("assistant"),
    message: z.object({ id: z.string(), content: z.array(contentBlock) }),
    uuid: z.string().optional(),
    parent_tool_use_id: parent,
  }),
  z.object({
    type: z.literal("user"),
    message: z.object({ content: z.union([z.string(), z.array(contentBlock)]) }),
    uuid: z.string().optional(),
    isReplay: z.boolean().optional(),
    parent_tool_use_id: parent,
  }),
  z.object({
    type: z.literal("stream_event"),
    event: streamEvent,
    parent_tool_use_id: parent,
  }),
  z.object({
    type: z.literal("result"),
    is_error: z.boolean(),
    result: z.string().optional(),
    errors: z.array(z.string()).optional(),
    terminal_reason: z.string().optional(),
    usage: z.object({
      input_tokens: count,
      output_tokens: count,
      cache_creation_input_tokens: count,
      cache_read_input_tokens: count,
    }),
  }),
  z.object({
    type: z.literal("control_request"),
    request_id: z.string().min(1),
    request: z.union([permissionRequest, z.object({ subtype: z.string() })]),
  }),
  z.object({ type: z.literal("control_cancel_request"), request_id: z.string().min(1) }),
  z.object({
    type: z.literal("control_response"),
    /** Echoes of our own answers come in other shapes, and mean nothing. */
    response: z
      .object({
        subtype: z.enum(["success", "error"]),
        request_id: z.string(),
        error: z.string().optional(),
        /** To `cancel_async_message`: whether the message had not been taken yet. */
        response: z.object({ cancelled: z.boolean().optional() }).optional().catch(undefined),
      })
      .optional()
      .catch(undefined),
  }),
  z.object({
    type: z.literal("rate_limit_event"),
    rate_limit_info: z.object({
      status: z.string(),
      resetsAt: z.number().optional(),
      rateLimitType: z.string().optional(),
    }),
  }),
  z.object({ type: z.enum(["keep_alive", "tool_progress", "tool_use_summary"]) }),
]);
export type ClaudeMessage = z.infer<typeof claudeMessageSchema>;

/** What the CLI takes as the answer to `can_use_tool`. An `allow` without an input means: as it was asked. */
export const permissionAnswerSchema = z.discriminatedUnion("behavior", [
  z.object({ behavior: z.literal("allow"), updatedInput: z.record(z.string(), jsonSchema).optional() }),
  z.object({ behavior: z.literal("deny"), message: z.string(), interrupt: z.boolean().optional() }),
]);
export type PermissionAnswer = z.infer<typeof permissionAnswerSchema>;
