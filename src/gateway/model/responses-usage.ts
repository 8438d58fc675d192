import { z } from "zod";
import { parseJson } from "../../domain/json.ts";
import { noTokens } from "../../domain/prices.ts";
import { tokenLength, type Usage, type UsageReader } from "./usage-reader.ts";

const tokens = z.number().int().nonnegative().nullish().catch(undefined);

/** `Response` of the vendor's SDK (`openai`, resources/responses). */
const responseSchema = z.object({
  model: z.string().max(200).optional().catch(undefined),
  usage: z
    .object({
      /** All of them, those of the cache included. */
      input_tokens: tokens,
      input_tokens_details: z
        .object({ cached_tokens: tokens, cache_write_tokens: tokens })
        .nullish()
        .catch(undefined),
      output_tokens: tokens,
    })
    .nullish()
    .catch(undefined),
});
const eventSchema = z.object({ response: responseSchema });
const deltaSchema = z.object({ delta: z.string() });

/** The last event of an answer, whatever became of it, carries the sum; the first one names the model. */
const carriesResponse = /"type":\s*"response\.(created|completed|incomplete|failed)"/;

export function createResponsesReader(): UsageReader {
  const usage: Usage = { model: "", ...noTokens, fast: false, besides: [] };
  let streamed = 0;
  let summedUp = false;

  function count({ model, usage: counted }: z.infer<typeof responseSchema>): void {
    usage.model = model ?? usage.model;
    if (counted === null || counted === undefined) return;
    const { cached_tokens: read, cache_write_tokens: written } = counted.input_tokens_details ?? {};
    usage.cacheReadTokens = read ?? 0;
    usage.cacheWriteTokens = written ?? 0;
    usage.inputTokens = Math.max(
      0,
      (counted.input_tokens ?? 0) - usage.cacheReadTokens - usage.cacheWriteTokens,
    );
    usage.outputTokens = counted.output_tokens ?? 0;
    summedUp = true;
  }

  return {
    event(data) {
      // The type stands at either end of an event, whose middle may hold anything.
      if (carriesResponse.test(data.slice(0, 200)) || carriesResponse.test(data.slice(-200))) {
        const event = eventSchema.safeParse(parseJson(data));
        if (event.success) count(event.data.response);
      } else if (/"type":\s*"response\.[a-z_.]*delta"/.test(data)) {
        streamed += deltaSchema.safeParse(parseJson(data)).data?.delta.length ?? 0;
      }
    },
    whole(json) {
      const response = responseSchema.safeParse(parseJson(json));
      if (response.success) count(response.data);
    },
    usage: () => (summedUp ? { ...usage } : { ...usage, outputTokens: Math.ceil(streamed / tokenLength) }),
  };
}
