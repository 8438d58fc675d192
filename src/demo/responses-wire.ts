import { callOf } from "./responses-tools.ts";
import { type Answer, outputTokensOf, pieces, type Speech } from "./wire.ts";

/**
 * The shapes of the Responses API, as the vendor's own SDK declares them (`openai`, resources/responses);
 * `responses-wire.test.ts` checks them against those types.
 */

export function responseOf(answer: Answer) {
  return {
    ...responseHead(answer),
    status: "completed" as const,
    output: itemsOf(answer),
    output_text: answer.text,
    usage: usageOf(answer),
  };
}

/** The events of a streamed answer, in order. */
export function* responseEventsOf(answer: Answer) {
  let sequence_number = 0;
  const next = () => ({ sequence_number: sequence_number++ });
  const begun = { ...responseHead(answer), status: "in_progress" as const, output: [], output_text: "" };
  yield { type: "response.created" as const, response: begun, ...next() };
  for (const [output_index, item] of itemsOf(answer).entries()) {
    const place = { output_index, item_id: item.id };
    if (item.type === "message") {
      const empty = { ...item, content: [], status: "in_progress" as const };
      yield { type: "response.output_item.added" as const, output_index, item: empty, ...next() };
      const part = { type: "output_text" as const, text: "", annotations: [] };
      const at = { ...place, content_index: 0 };
      yield { type: "response.content_part.added" as const, ...at, part, ...next() };
      for (const delta of pieces(answer.text)) {
        yield { type: "response.output_text.delta" as const, ...at, delta, logprobs: [], ...next() };
      }
      const { text } = answer;
      yield { type: "response.output_text.done" as const, ...at, text, logprobs: [], ...next() };
      yield { type: "response.content_part.done" as const, ...at, part: { ...part, text }, ...next() };
    } else {
      const empty = { ...item, arguments: "", status: "in_progress" as const };
      yield { type: "response.output_item.added" as const, output_index, item: empty, ...next() };
      for (const delta of pieces(item.arguments, 80)) {
        yield { type: "response.function_call_arguments.delta" as const, ...place, delta, ...next() };
      }
      const { arguments: whole, name } = item;
      yield {
        type: "response.function_call_arguments.done" as const,
        ...{ ...place, arguments: whole, name },
        ...next(),
      };
    }
    yield { type: "response.output_item.done" as const, output_index, item, ...next() };
  }
  yield { type: "response.completed" as const, response: responseOf(answer), ...next() };
}

export type ResponseEvent =
  ReturnType<typeof responseEventsOf> extends Generator<infer Event> ? Event : never;

export const responsesSpeech: Speech = {
  whole: (answer) => JSON.stringify(responseOf(answer)),
  *events(answer) {
    for (const event of responseEventsOf(answer)) {
      yield {
        sse: `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`,
        isText: event.type === "response.output_text.delta",
        isFirst: event.type === "response.created",
        isLast: event.type === "response.completed",
      };
    }
  },
};

function itemsOf(answer: Answer) {
  const message = {
    type: "message" as const,
    id: `msg_${answer.messageId}`,
    role: "assistant" as const,
    status: "completed" as const,
    content: [{ type: "output_text" as const, text: answer.text, annotations: [] }],
  };
  const calls = answer.tools.map((tool, index) => ({
    type: "function_call" as const,
    id: `fc_${answer.toolIdBase}${index.toString(16).padStart(2, "0")}`,
    call_id: `call_${answer.toolIdBase}${index.toString(16).padStart(2, "0")}`,
    ...callOf(tool),
    status: "completed" as const,
  }));
  return answer.text === "" ? calls : [message, ...calls];
}

function responseHead(answer: Answer) {
  return {
    id: `resp_${answer.messageId}`,
    object: "response" as const,
    created_at: 0,
    model: answer.model,
    access_programs: null,
    error: null,
    incomplete_details: null,
    instructions: null,
    metadata: {},
    parallel_tool_calls: false,
    temperature: 1,
    tool_choice: "auto" as const,
    tools: [],
    top_p: 1,
  };
}

function usageOf(answer: Answer) {
  const cached = answer.continued ? Math.floor(answer.inputTokens * 0.9) : 0;
  const output = outputTokensOf(answer);
  return {
    input_tokens: answer.inputTokens,
    input_tokens_details: { cached_tokens: cached, cache_write_tokens: 0 },
    output_tokens: output,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: answer.inputTokens + output,
  };
}
