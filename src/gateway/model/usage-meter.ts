import { z } from "zod";
import { noTokens, type TokenCounts } from "../../domain/prices.ts";

/**
 * Reads the usage out of an answer of the Messages API as its bytes go by. It changes and holds nothing of the
 * answer but the line it is in, up to a bound; a longer line is skipped.
 */
export interface UsageMeter {
  write(chunk: Uint8Array): void;
  /**
   * What was counted so far. Of a stream that was cut before it had said its sum, the output is reckoned from the text
   * that went by: whoever hangs up early has used it all the same.
   */
  usage(): Usage;
  /** Whether the stream stands between two events, so that another one may be put in. */
  betweenEvents(): boolean;
}

export interface Usage extends TokenCounts {
  /** As the answer names it; "" until it does. */
  model: string;
  fast: boolean;
  /** See MeteredRequest. */
  besides: (TokenCounts & { model: string })[];
}

/** The two events that carry usage are under 4 KiB; a whole message in plain JSON, which counts as one line, under 600. */
const longestLine = 1024 * 1024;

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
/** Characters of one token, more or less; as the vendor's documentation has it for English. */
const tokenLength = 4;

/** Iterations whose tokens do not stand in the totals beside them (as the vendor's SDK declares `BetaUsage`). */
const besidesTotals = ["compaction", "advisor_message"];

const newline = 0x0a;

export function createUsageMeter(contentType: string): UsageMeter {
  const isStream = /^text\/event-stream\b/i.test(contentType);
  const usage: Usage = { model: "", ...noTokens, fast: false, besides: [] };
  let parts: Uint8Array[] = [];
  let length = 0;
  /** Characters of the output that went by, and whether its sum was said. */
  let streamed = 0;
  let summedUp = false;
  /** Newlines at the end of what went by; an event ends with an empty line. */
  let newlinesAtEnd = 2;

  function add(bytes: Uint8Array): void {
    length += bytes.length;
    if (length > longestLine) parts = [];
    // A copy: the chunk's memory may be used again by whoever gave it.
    else if (bytes.length > 0) parts.push(Uint8Array.from(bytes));
  }

  function takeLine(): string {
    const line = length > longestLine ? "" : Buffer.concat(parts, length).toString("utf8");
    parts = [];
    length = 0;
    return line;
  }

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

  function readLine(line: string): void {
    if (!line.startsWith("data:")) return;
    if (/"message_(start|delta)"/.test(line)) {
      const event = eventSchema.safeParse(parseJson(line.slice("data:".length)));
      if (!event.success) return;
      count(event.data.type === "message_start" ? event.data.message : event.data);
      summedUp = event.data.type === "message_delta";
    } else if (line.includes('"content_block_delta"')) {
      const event = deltaSchema.safeParse(parseJson(line.slice("data:".length)));
      const { text = "", thinking = "", partial_json = "" } = event.data?.delta ?? {};
      streamed += text.length + thinking.length + partial_json.length;
    }
  }

  return {
    write(chunk) {
      if (!isStream) return add(chunk);
      let start = 0;
      for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
        add(chunk.subarray(start, end));
        newlinesAtEnd = length === 0 || (length === 1 && parts[0]?.[0] === 0x0d) ? 2 : 1;
        readLine(takeLine());
        start = end + 1;
      }
      if (start < chunk.length) newlinesAtEnd = 0;
      add(chunk.subarray(start));
    },
    usage() {
      if (!isStream && length > 0) {
        const message = messageSchema.safeParse(parseJson(takeLine()));
        if (message.success) count(message.data);
      }
      if (summedUp) return { ...usage };
      return { ...usage, outputTokens: Math.max(usage.outputTokens, Math.ceil(streamed / tokenLength)) };
    },
    betweenEvents: () => isStream && newlinesAtEnd >= 2,
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

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
