import { z } from "zod";
import { jsonSchema } from "../../domain/json.ts";

/**
 * What `codex app-server` 0.169 writes, as far as we read it: JSON-RPC 2.0 without its version field, a message a line.
 * Shapes as `codex app-server generate-ts` has them (ClientRequest, ServerRequest, ServerNotification), checked against
 * recorded streams. A notification of another kind is not an error.
 */

const rpcId = z.union([z.string(), z.number()]);
export type RpcId = z.infer<typeof rpcId>;

export const rpcMessageSchema = z.union([
  z.object({ id: rpcId, method: z.string(), params: z.unknown() }),
  z.object({ method: z.string(), params: z.unknown() }),
  z.object({ id: rpcId, error: z.object({ message: z.string() }) }),
  z.object({ id: rpcId, result: z.unknown() }),
]);

const id = z.string().min(1).max(200);
const text = z.string().nullish().catch(null);

const itemSchema = z.union([
  z.object({ type: z.literal("userMessage"), id, clientId: text }),
  z.object({ type: z.literal("agentMessage"), id, text: z.string() }),
  z.object({ type: z.literal("plan"), id, text: z.string() }),
  z.object({
    type: z.literal("reasoning"),
    id,
    summary: z.array(z.string()).catch([]),
    content: z.array(z.string()).catch([]),
  }),
  z.object({
    type: z.literal("commandExecution"),
    id,
    command: z.string(),
    status: z.string(),
    aggregatedOutput: text,
    exitCode: z.number().nullish(),
  }),
  z.object({
    type: z.literal("fileChange"),
    id,
    changes: z.array(jsonSchema),
    status: z.string(),
  }),
  z.object({
    type: z.literal("mcpToolCall"),
    id,
    server: z.string(),
    tool: z.string(),
    status: z.string(),
    arguments: jsonSchema.catch(null),
    result: jsonSchema.nullish().catch(null),
    error: z.object({ message: z.string() }).nullish().catch(null),
  }),
  z.object({
    type: z.literal("collabAgentToolCall"),
    id,
    tool: z.string(),
    status: z.string(),
    prompt: text,
  }),
  z.object({ type: z.literal("imageView"), id, path: z.string() }),
  z.object({ type: z.literal("contextCompaction"), id }),
  z.object({ type: z.string() }).transform(() => ({ type: "other" as const, id: "" })),
]);
export type CodexItem = z.infer<typeof itemSchema>;

const turnSchema = z.object({
  id: z.string(),
  status: z.enum(["completed", "interrupted", "failed", "inProgress"]),
  error: z.object({ message: z.string(), additionalDetails: text }).nullish(),
  items: z.array(itemSchema).catch([]),
});
export type CodexTurn = z.infer<typeof turnSchema>;

const ofTurn = { threadId: z.string(), turnId: z.string() };
const tokens = z.number().int().nonnegative().catch(0);

const notice = <Method extends string, Shape extends z.ZodRawShape>(method: Method, shape: Shape) =>
  z.object({ method: z.literal(method), params: z.object(shape) });

export const notificationSchema = z.discriminatedUnion("method", [
  notice("turn/started", { threadId: z.string(), turn: turnSchema }),
  notice("turn/completed", { threadId: z.string(), turn: turnSchema }),
  notice("item/started", { ...ofTurn, item: itemSchema }),
  notice("item/completed", { ...ofTurn, item: itemSchema }),
  notice("item/agentMessage/delta", { ...ofTurn, itemId: id, delta: z.string() }),
  notice("thread/tokenUsage/updated", {
    ...ofTurn,
    tokenUsage: z.object({ last: z.object({ inputTokens: tokens, outputTokens: tokens }) }),
  }),
  notice("error", { ...ofTurn, willRetry: z.boolean(), error: z.object({ message: z.string() }) }),
  notice("warning", { threadId: text, message: z.string() }),
  notice("serverRequest/resolved", { threadId: z.string(), requestId: rpcId }),
]);
export type CodexNotification = z.infer<typeof notificationSchema>;

/** Of `thread/start` and `thread/resume`. */
export const threadSchema = z.object({ thread: z.object({ id: z.string() }), model: z.string() });
export const turnsSchema = z.object({ data: z.array(turnSchema) });

export const userInputSchema = z.object({
  threadId: z.string(),
  itemId: z.string(),
  questions: z.array(
    z.object({
      id: z.string(),
      header: z.string(),
      question: z.string(),
      options: z.array(z.object({ label: z.string(), description: z.string() })).nullish(),
    }),
  ),
});
export type UserInputQuestion = z.infer<typeof userInputSchema>["questions"][number];
