import { createHash, timingSafeEqual } from "node:crypto";
import type { z } from "zod";
import { parseJson } from "../domain/json.ts";
import { pause } from "../domain/pause.ts";
import {
  type Conversation,
  countTokensSchema,
  messagesRequestSchema,
  readConversation,
} from "./conversation.ts";
import { asOffered } from "./offered-tools.ts";
import { readResponses, responsesRequestSchema } from "./responses-conversation.ts";
import { responsesSpeech } from "./responses-wire.ts";
import type { ApiErrorType, Step } from "./scenario.ts";
import { play } from "./scenarios.ts";
import {
  type Answer,
  apiError,
  messagesSpeech,
  pieces,
  type Speech,
  type SpokenEvent,
  tokensIn,
} from "./wire.ts";

export interface DemoModel {
  fetch(request: Request): Promise<Response>;
}

type Sleep = (ms: number, signal: AbortSignal) => Promise<void>;

/** The Messages API takes no more than 32 MB. */
const maxBodyBytes = 32 * 1024 * 1024;

/**
 * A scripted stand-in for Anthropic's Messages API and OpenAI's Responses API, so that the product can be tried and tested without a key: the
 * real agent edits, runs and commits, and this says what to do next. It plays `scenarios.ts`.
 *
 * Serves `HEAD /`, `POST /v1/messages` and `POST /v1/responses` (streamed or not), `POST /v1/messages/count_tokens`; anything
 * else is 404. It refuses in the words of the first; the second has its message in the same place.
 * `now` is in milliseconds since the epoch.
 */
export function createDemoModel(options: { key: string; now: () => number; sleep?: Sleep }): DemoModel {
  const { key, sleep = pause } = options;
  const attempts = createAttempts(options.now);

  async function messages(request: Request): Promise<Response> {
    const read = await parsed(request, messagesRequestSchema);
    if (read instanceof Response) return read;
    return answered(request, readConversation(read.body), read.bytes, messagesSpeech);
  }

  async function responses(request: Request): Promise<Response> {
    const read = await parsed(request, responsesRequestSchema);
    if (read instanceof Response) return read;
    return answered(request, readResponses(read.body), read.bytes, responsesSpeech);
  }

  function answered(request: Request, conversation: Conversation, bytes: number, speech: Speech): Response {
    const position = `${conversation.session}\n${conversation.prompt}\n${conversation.messageCount}`;
    const attempt = attempts.next(position);
    // Requests without tools are the agent's own, and no part of the turn.
    const turn = `${conversation.session}\n${conversation.prompt}\n${conversation.tools.size > 0}`;
    const step = play(conversation, { attempt, asked: attempts.next(turn) });
    if (step.kind === "limit") return limited(step.seconds);
    if (step.kind === "refuse") return refusal(step.status, step.type, step.message);

    const id = hash(`${position}\n${attempt}`);
    const answer = answerTo(conversation, bytes, step, id);
    const type = conversation.stream ? "text/event-stream; charset=utf-8" : "application/json";
    const headers = { "cache-control": "no-cache", "request-id": `req_${id}`, "content-type": type };
    const text = conversation.stream
      ? streamed(speech.events(answer), pieces(answer.text).length, step, request.signal)
      : plain(speech.whole(answer), step, request.signal);
    return new Response(bodyOf(text), { headers });
  }

  /** As the API answers an account of a subscription. */
  function limited(seconds: number): Response {
    const reset = Math.ceil(options.now() / 1000) + seconds;
    return refusal(429, "rate_limit_error", "This request would exceed your account's rate limit.", {
      "anthropic-ratelimit-unified-status": "rejected",
      "anthropic-ratelimit-unified-reset": String(reset),
      "anthropic-ratelimit-unified-representative-claim": "five_hour",
      "retry-after": String(seconds),
    });
  }

  async function* streamed(
    events: Iterable<SpokenEvent>,
    texts: number,
    step: Step,
    signal: AbortSignal,
  ): AsyncGenerator<string> {
    const overMs = step.kind === "use" ? (step.overMs ?? 0) : 0;
    const pauseMs = overMs / texts;
    let deltas = 0;
    for (const { sse, isText, isFirst, isLast } of events) {
      if (isText && pauseMs > 0) await sleep(pauseMs, signal);
      const isCut = step.kind === "cut" && (step.where === "end" ? isLast : isText && ++deltas > 2);
      if (isCut) yield* cutOff(sse, signal);
      yield sse;
      if (isFirst && step.kind === "stall") await aborted(signal);
    }
  }

  async function* plain(json: string, step: Step, signal: AbortSignal): AsyncGenerator<string> {
    if (step.kind === "stall") {
      yield " ";
      await aborted(signal);
    }
    if (step.kind === "cut") yield* cutOff(json, signal);
    yield json;
  }

  async function* cutOff(text: string, signal: AbortSignal): AsyncGenerator<string> {
    yield text.slice(0, text.length / 2);
    // A server sends nothing of a body that fails in the same instant, and a busy reader drops what came just before.
    await sleep(250, signal);
    throw new Error("The demo model cuts its answer here, as the scenario says.");
  }

  async function countTokens(request: Request): Promise<Response> {
    const read = await parsed(request, countTokensSchema);
    return read instanceof Response ? read : Response.json({ input_tokens: tokensIn(read.bytes) });
  }

  return {
    async fetch(request) {
      const { pathname } = new URL(request.url);
      if (pathname === "/" && ["HEAD", "GET"].includes(request.method)) return new Response(null);
      if (!authorized(request.headers, key)) {
        return refusal(401, "authentication_error", "The demo model does not know this key.");
      }
      if (request.method === "POST" && pathname === "/v1/messages") return messages(request);
      if (request.method === "POST" && pathname === "/v1/responses") return responses(request);
      if (request.method === "POST" && pathname === "/v1/messages/count_tokens") return countTokens(request);
      return refusal(404, "not_found_error", `The demo model has no ${request.method} ${pathname}.`);
    },
  };
}

function answerTo(conversation: Conversation, bytes: number, step: Step, id: string): Answer {
  return {
    messageId: `msg_${id}`,
    toolIdBase: id.slice(0, 22),
    model: conversation.model,
    text: "text" in step ? step.text : "",
    tools: step.kind === "use" ? step.tools.map((tool) => asOffered(tool, conversation.tools)) : [],
    inputTokens: tokensIn(bytes),
    continued: conversation.messageCount > 1,
  };
}

function bodyOf(text: AsyncGenerator<string>): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await text.next();
      if (done) controller.close();
      else controller.enqueue(encoder.encode(value));
    },
    async cancel() {
      await text.return(undefined);
    },
  });
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve());
  });
}

/**
 * How often each position of a conversation was asked for, so that a scenario may fail the first times. Forgets
 * after ten minutes, and holds a bounded number.
 */
function createAttempts(now: () => number): { next(position: string): number } {
  const seen = new Map<string, { count: number; at: number }>();
  return {
    next(position) {
      const name = hash(position);
      const before = seen.get(name);
      const count = before !== undefined && now() - before.at < 600_000 ? before.count + 1 : 0;
      seen.delete(name);
      seen.set(name, { count, at: now() });
      const oldest = seen.keys().next().value;
      if (seen.size > 4096 && oldest !== undefined) seen.delete(oldest);
      return count;
    },
  };
}

type Parsed<Schema extends z.ZodType> = { body: z.infer<Schema>; bytes: number };

async function parsed<Schema extends z.ZodType>(
  request: Request,
  schema: Schema,
): Promise<Parsed<Schema> | Response> {
  if (Number(request.headers.get("content-length")) > maxBodyBytes) {
    return refusal(413, "request_too_large", "Request exceeds the maximum size");
  }
  const text = await request.text();
  const json = parseJson(text);
  if (json === undefined) return refusal(400, "invalid_request_error", "The request body is not valid JSON.");
  const result = schema.safeParse(json);
  if (result.success) return { body: result.data, bytes: Buffer.byteLength(text) };
  const issue = result.error.issues[0];
  return refusal(400, "invalid_request_error", `${issue?.path.join(".")}: ${issue?.message}`);
}

function refusal(status: number, type: ApiErrorType, message: string, headers = {}): Response {
  return Response.json(apiError(type, message), { status, headers });
}

function authorized(headers: Headers, key: string): boolean {
  const given =
    headers.get("x-api-key") ?? /^Bearer (.+)$/i.exec(headers.get("authorization") ?? "")?.[1] ?? "";
  return timingSafeEqual(Buffer.from(hash(given)), Buffer.from(hash(key)));
}

/** 24 characters that stand for any text. */
function hash(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 24);
}
