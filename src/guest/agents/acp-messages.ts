import { z } from "zod";
import { jsonSchema } from "../../domain/json.ts";

/**
 * What agents of the Agent Client Protocol, version 1, say, as far as we read it; shapes as the types of
 * `@agentclientprotocol/sdk` have them. Agents differ in what they leave out: what is missing or odd in a field that can
 * be done without is no error.
 */

const id = z.string().min(1).max(200);
const text = z.string().nullish().catch(null);
const anything = jsonSchema.optional().catch(undefined);
const flag = z
  .unknown()
  .optional()
  .transform((given) => given !== undefined && given !== null && given !== false);

export const initializeSchema = z.object({
  protocolVersion: z.number(),
  agentCapabilities: z
    .object({
      loadSession: flag,
      promptCapabilities: z.object({ image: flag }).catch({ image: false }),
      sessionCapabilities: z
        .object({ resume: flag, systemPrompt: flag })
        .catch({ resume: false, systemPrompt: false }),
    })
    .catch({
      loadSession: false,
      promptCapabilities: { image: false },
      sessionCapabilities: { resume: false, systemPrompt: false },
    }),
  authMethods: z.array(z.object({ name: z.string() })).catch([]),
});
export type AcpCapabilities = z.infer<typeof initializeSchema>["agentCapabilities"];

const choice = z.object({ value: id, name: z.string() });
const choices = z.array(z.union([choice, z.object({ options: z.array(choice) })]));
const configOption = z.object({
  id,
  category: text,
  currentValue: z.string(),
  options: choices.transform((all) => all.flatMap((each) => ("value" in each ? [each] : each.options))),
});
/** Those that are a choice of one. */
const configOptions = z
  .array(z.unknown())
  .catch([])
  .transform((all) =>
    all.flatMap((each) => {
      const parsed = configOption.safeParse(each);
      return parsed.success ? [parsed.data] : [];
    }),
  );
export type AcpConfigOption = z.infer<typeof configOption>;

const modes = z
  .object({ currentModeId: id, availableModes: z.array(z.object({ id, name: z.string() })) })
  .nullish()
  .catch(null);

/** Of `session/load` and `session/resume`, which may answer nothing at all. */
export const offersSchema = z.object({ modes, configOptions }).catch({ modes: null, configOptions: [] });
export type AcpOffers = z.infer<typeof offersSchema>;
export const newSessionSchema = z.object({ sessionId: id, modes, configOptions });

const tokens = z.number().int().nonnegative().catch(0);
export const promptAnswerSchema = z.object({
  stopReason: z.string(),
  usage: z
    .object({
      inputTokens: tokens,
      outputTokens: tokens,
      cachedReadTokens: tokens,
      cachedWriteTokens: tokens,
    })
    .nullish()
    .catch(null),
});
export type AcpPromptAnswer = z.infer<typeof promptAnswerSchema>;

const content = z.union([
  z.object({ type: z.literal("text"), text: z.string() }),
  z
    .object({ type: z.literal("resource_link"), uri: z.string() })
    .transform(({ uri }) => ({ text: `[${uri}]` })),
  z.object({ type: z.string() }).transform(({ type }) => ({ text: `[${type.slice(0, 40)}]` })),
]);

const toolContent = z.union([
  z.object({ type: z.literal("content"), content }),
  z.object({ type: z.literal("diff"), path: z.string(), oldText: text, newText: z.string() }),
  z.object({ type: z.string() }).transform(() => ({ type: "other" as const })),
]);
export type AcpDiff = Extract<z.infer<typeof toolContent>, { type: "diff" }>;

const toolFields = {
  toolCallId: id,
  title: text,
  name: text,
  kind: text,
  status: text,
  content: z.array(toolContent).nullish().catch(null),
  locations: z
    .array(z.object({ path: z.string() }))
    .nullish()
    .catch(null),
  rawInput: anything,
  rawOutput: anything,
};
export const toolCallSchema = z.object(toolFields);
export type AcpToolCall = z.infer<typeof toolCallSchema>;
export const diffsOf = ({ content }: AcpToolCall): AcpDiff[] =>
  (content ?? []).flatMap((each) => (each.type === "diff" ? [each] : []));

/** Tells one message from another; "" where the agent names none. */
const messageId = z.string().max(150).catch("").default("");
const chunk = { content, messageId };
const update = z.discriminatedUnion("sessionUpdate", [
  z.object({ sessionUpdate: z.literal("user_message_chunk"), ...chunk }),
  z.object({ sessionUpdate: z.literal("agent_message_chunk"), ...chunk }),
  z.object({ sessionUpdate: z.literal("agent_thought_chunk"), ...chunk }),
  z.object({ sessionUpdate: z.literal("tool_call"), ...toolFields }),
  z.object({ sessionUpdate: z.literal("tool_call_update"), ...toolFields }),
  z.object({
    sessionUpdate: z.literal("plan"),
    entries: z.array(z.object({ content: z.string(), status: z.string().catch("pending") })),
  }),
  z.object({ sessionUpdate: z.literal("current_mode_update"), currentModeId: id }),
  z.object({ sessionUpdate: z.literal("config_option_update"), configOptions }),
  z.object({ sessionUpdate: z.literal("notice"), severity: text, title: z.string(), description: text }),
  // For the lists and meters of an editor.
  z.object({
    sessionUpdate: z.enum([
      "available_commands_update",
      "session_info_update",
      "usage_update",
      "compaction_update",
      "compaction_summary_chunk",
    ]),
  }),
]);
export type AcpUpdate = z.infer<typeof update>;

export const notificationSchema = z.object({ sessionId: z.string(), update });
/** For one whose update nobody knows. */
export const strangeNotificationSchema = z.object({
  sessionId: z.string(),
  update: z.looseObject({ sessionUpdate: z.string() }),
});
