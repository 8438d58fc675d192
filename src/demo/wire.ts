import type { Json } from "../domain/json.ts";
import type { ToolUse } from "./scenario.ts";

/**
 * The shapes of the Messages API, as the vendor's own SDK declares them (`@anthropic-ai/sdk`, resources/messages);
 * `wire.test.ts` checks them against those types.
 */

export interface Answer {
  messageId: string;
  /** Unique within a conversation; a tool's id is made from it. */
  toolIdBase: string;
  model: string;
  text: string;
  tools: ToolUse[];
  inputTokens: number;
  /** Whether the beginning of the conversation was sent before, as a cache would know it. */
  continued: boolean;
}

/** Characters in one text delta. */
const pieceLength = 24;

export function messageOf(answer: Answer) {
  return {
    ...messageHead(answer),
    content: blocksOf(answer),
    stop_reason: stopReasonOf(answer),
    usage: usageOf(answer, outputTokensOf(answer)),
  };
}

/** One event on its way. */
export interface SpokenEvent {
  sse: string;
  /** A piece of the text. */
  isText: boolean;
  isFirst: boolean;
  /** Says that the answer is over. */
  isLast: boolean;
}

/** One API's way to say an answer. */
export interface Speech {
  whole(answer: Answer): string;
  events(answer: Answer): Iterable<SpokenEvent>;
}

export const messagesSpeech: Speech = {
  whole: (answer) => JSON.stringify(messageOf(answer)),
  *events(answer) {
    for (const event of eventsOf(answer)) {
      const isText = event.type === "content_block_delta" && event.delta.type === "text_delta";
      const isFirst = event.type === "message_start";
      const isLast = event.type === "message_stop";
      yield { sse: isFirst ? sseOf(event) + sseOf({ type: "ping" }) : sseOf(event), isText, isFirst, isLast };
    }
  },
};

/** The events of a streamed answer, in order. */
export function* eventsOf(answer: Answer) {
  yield { type: "message_start" as const, message: messageHead(answer) };
  for (const [index, block] of blocksOf(answer).entries()) {
    if (block.type === "text") {
      yield { type: "content_block_start" as const, index, content_block: { ...block, text: "" } };
      for (const text of pieces(block.text)) {
        yield { type: "content_block_delta" as const, index, delta: { type: "text_delta" as const, text } };
      }
    } else {
      yield { type: "content_block_start" as const, index, content_block: { ...block, input: {} } };
      for (const partial_json of ["", ...pieces(JSON.stringify(block.input), 80)]) {
        const delta = { type: "input_json_delta" as const, partial_json };
        yield { type: "content_block_delta" as const, index, delta };
      }
    }
    yield { type: "content_block_stop" as const, index };
  }
  const { input_tokens, cache_creation_input_tokens, cache_read_input_tokens } = usageOf(answer, 0);
  yield {
    type: "message_delta" as const,
    delta: { container: null, stop_details: null, stop_reason: stopReasonOf(answer), stop_sequence: null },
    usage: {
      input_tokens,
      cache_creation_input_tokens,
      cache_read_input_tokens,
      output_tokens: outputTokensOf(answer),
      output_tokens_details: null,
      server_tool_use: null,
    },
  };
  yield { type: "message_stop" as const };
}

export type AnswerEvent = ReturnType<typeof eventsOf> extends Generator<infer Event> ? Event : never;

/** `ping` may come anywhere; the vendor's types leave it out, since the SDK drops it. */
function sseOf(event: AnswerEvent | { type: "ping" }): string {
  return `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
}

/** A text as it is sent, in deltas; cut between characters, never within one. */
export function pieces(text: string, length = pieceLength): string[] {
  const characters = [...text];
  return Array.from({ length: Math.ceil(characters.length / length) }, (_, index) =>
    characters.slice(index * length, (index + 1) * length).join(""),
  );
}

export function apiError(type: string, message: string) {
  return { type: "error" as const, error: { type, message } };
}

/** Four bytes a token: near enough for English and code, and the same every time. */
export function tokensIn(bytes: number): number {
  return Math.max(1, Math.ceil(bytes / 4));
}

function blocksOf(answer: Answer) {
  const text = { type: "text" as const, text: answer.text, citations: null };
  const uses = answer.tools.map(({ name, input }, index) => ({
    type: "tool_use" as const,
    id: `toolu_${answer.toolIdBase}${index.toString(16).padStart(2, "0")}`,
    name,
    input: input satisfies Record<string, Json>,
    caller: { type: "direct" as const },
  }));
  return answer.text === "" ? uses : [text, ...uses];
}

function messageHead(answer: Answer) {
  return {
    id: answer.messageId,
    type: "message" as const,
    role: "assistant" as const,
    model: answer.model,
    content: [],
    container: null,
    diagnostics: null,
    stop_details: null,
    stop_reason: null,
    stop_sequence: null,
    usage: usageOf(answer, 1),
  };
}

function usageOf({ inputTokens, continued }: Answer, outputTokens: number) {
  const cached = Math.floor(inputTokens * 0.9);
  return {
    input_tokens: inputTokens - cached,
    cache_creation_input_tokens: continued ? 0 : cached,
    cache_read_input_tokens: continued ? cached : 0,
    output_tokens: outputTokens,
    // Half of it for an hour, so that both kinds are seen where usage is counted.
    cache_creation: {
      ephemeral_5m_input_tokens: continued ? 0 : Math.ceil(cached / 2),
      ephemeral_1h_input_tokens: continued ? 0 : Math.floor(cached / 2),
    },
    inference_geo: null,
    output_tokens_details: null,
    server_tool_use: null,
    service_tier: "standard" as const,
    speed: null,
  };
}

export function outputTokensOf({ text, tools }: Answer): number {
  return tokensIn(Buffer.byteLength(text) + Buffer.byteLength(JSON.stringify(tools)));
}

function stopReasonOf({ tools }: Answer) {
  return tools.length > 0 ? ("tool_use" as const) : ("end_turn" as const);
}
