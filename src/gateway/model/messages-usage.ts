import { z } from "zod";
import { parseJson } from "../../domain/json.ts";
import { noTokens, type TokenCounts } from "../../domain/prices.ts";
import { tokenLength, type Usage, type UsageReader } from "./usage-reader.ts";

const tokens = z.number().int().nonnegative().nullish().catch(undefined);
const counts = {
  input_tokens: tokens,
  output_tokens: tokens,
  cache_read_input_tokens: tokens,
  cache_creation_input_tokens: tokens,
  cache_creation: z
    .object({ ephemeral_5m_input_tokens: tokens, ephemeral_1h_input_tokens: tokens })
    .nullish()
    .catch(undefined),
};
const iteration = z.object({ type: z.string(), model: z.string().max(200).nullish(), ...counts });
const usageSchema = z.object({
  ...counts,
  server_tool_use: z.object({ web_search_requests: tokens }).nullish().catch(undefined),
  speed: z.string().nullish().catch(undefined),
  iterations: z.array(iteration).max(1000).nullish().catch(undefined),
});
const messageSchema = z.object({ model: z.string().max(200).optional(), usage: usageSchema });
const eventSchema = z.union([
  z.object({ type: z.literal("message_start"), message: messageSchema }),
  // Its numbers are the totals so far, not what came on top.
  z.object({ type: z.literal("message_delta"), usage: usageSchema }),
]);

const deltaSchema = z.object({
  delta: z.object({
    text: z.string().optional(),
    thinking: z.string().optional(),
    partial_json: z.string().optional(),
  }),
});
/** Iterations whose tokens do not stand in the totals beside them (as the vendor's SDK declares `BetaUsage`). */
const besidesTotals = ["compaction", "advisor_message"];

export function createMessagesReader(): UsageReader {
  const usage: Usage = { model: "", ...noTokens, fast: false, besides: [] };
  /** Characters of the output that went by, and whether its sum was said. */
  let streamed = 0;
  let summedUp = false;

  function count({ model, usage: counted }: z.infer<typeof messageSchema>): void {
    usage.model = model ?? usage.model;
    Object.assign(usage, countsOf(counted, usage));
    usage.webSearches = counted.server_tool_use?.web_search_requests ?? usage.webSearches;
    if (counted.speed != null) usage.fast = counted.speed === "fast";
    if (counted.iterations != null) {
      usage.besides = counted.iterations
        .filter(({ type }) => besidesTotals.includes(type))
        .map((one) => ({ ...countsOf(one, noTokens), model: one.model ?? "" }));
    }
  }

  return {
    event(data) {
      if (/"message_(start|delta)"/.test(data)) {
        const event = eventSchema.safeParse(parseJson(data));
        if (!event.success) return;
        count(event.data.type === "message_start" ? event.data.message : event.data);
        summedUp = event.data.type === "message_delta";
      } else if (data.includes('"content_block_delta"')) {
        const event = deltaSchema.safeParse(parseJson(data));
        const { text = "", thinking = "", partial_json = "" } = event.data?.delta ?? {};
        streamed += text.length + thinking.length + partial_json.length;
      }
    },
    whole(json) {
      const message = messageSchema.safeParse(parseJson(json));
      if (message.success) count(message.data);
    },
    usage() {
      if (summedUp) return { ...usage };
      return { ...usage, outputTokens: Math.max(usage.outputTokens, Math.ceil(streamed / tokenLength)) };
    },
  };
}

/**
 * The counts now, after `before`. The first event tells what came in; endpoints that do not know it again at the end say
 * null or 0 there, which takes nothing back (the agent's own count goes by the same rule).
 */
function countsOf(
  counted: z.infer<typeof iteration> | z.infer<typeof usageSchema>,
  before: TokenCounts,
): TokenCounts {
  const { cache_creation: kinds } = counted;
  const sum = (kinds?.ephemeral_5m_input_tokens ?? 0) + (kinds?.ephemeral_1h_input_tokens ?? 0);
  return {
    inputTokens: counted.input_tokens || before.inputTokens,
    outputTokens: counted.output_tokens ?? before.outputTokens,
    cacheReadTokens: counted.cache_read_input_tokens || before.cacheReadTokens,
    cacheWriteTokens: counted.cache_creation_input_tokens || sum || before.cacheWriteTokens,
    cacheWriteHourTokens: kinds?.ephemeral_1h_input_tokens || before.cacheWriteHourTokens,
    webSearches: before.webSearches,
  };
}
