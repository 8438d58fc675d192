import type { IncomingMessage, ServerResponse } from "node:http";
import type { ModelApi } from "../../domain/model.ts";

/**
 * The door refuses in the words of the Messages API, so that the agent shows the message as it shows the API's own; the
 * Responses API has its message in the same place.
 * https://docs.anthropic.com/en/api/errors lists types and statuses.
 */
export interface Refusal {
  status: number;
  type:
    | "invalid_request_error"
    | "authentication_error"
    | "not_found_error"
    | "request_too_large"
    | "rate_limit_error"
    | "timeout_error"
    | "api_error";
  message: string;
  /** Whether the agent may try the same again; without it most agents repeat a 5xx up to ten times. */
  retry: boolean;
}

export function refusal(
  status: number,
  type: Refusal["type"],
  message: string,
  options: { retry: boolean } = { retry: false },
): Refusal {
  return { status, type, message, retry: options.retry };
}

/** How long the rest of a refused request is read and thrown away, in milliseconds: in all, and while nothing comes. */
const drain = { totalMs: 10_000, silenceMs: 250 };

/**
 * Reads the rest of the request and drops it, then answers. Bun's server closes the connection when an answer ends
 * before its request, and a client that is still sending then sees a broken pipe where the reason should be.
 */
export async function sendRefusal(
  request: IncomingMessage,
  response: ServerResponse,
  refused: Refusal,
): Promise<void> {
  await drained(request);
  if (response.destroyed) return;
  const body = JSON.stringify({ type: "error", error: { type: refused.type, message: refused.message } });
  response.writeHead(refused.status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body),
    "x-should-retry": String(refused.retry),
  });
  response.end(body);
}

/**
 * Keeps a request waiting that will be refused, so that its sandbox can be stopped in the middle of the turn, which is
 * then taken up again later. Where nothing stops it, it is refused after `ms`.
 */
export async function holdAndRefuse(
  request: IncomingMessage,
  response: ServerResponse,
  refused: Refusal,
  ms: number,
): Promise<void> {
  await drained(request);
  await new Promise<void>((resolve) => {
    if (response.destroyed) return resolve();
    const timer = setTimeout(resolve, ms);
    response.once("close", () => {
      clearTimeout(timer);
      resolve();
    });
  });
  return sendRefusal(request, response, refused);
}

/** Resolves when the request has come whole, or its sender is silent or too slow; what came is dropped. */
export function drained(request: IncomingMessage): Promise<void> {
  if (request.complete || request.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    const silence = setTimeout(resolve, drain.silenceMs);
    const total = setTimeout(resolve, drain.totalMs);
    const done = () => {
      clearTimeout(silence);
      clearTimeout(total);
      resolve();
    };
    request.on("data", () => silence.refresh());
    request.once("end", done);
    request.once("close", done);
    request.resume();
  });
}

/** An error inside a stream that has begun, as the API sends one. */
export function errorEvent(refused: Refusal, api: ModelApi): string {
  if (api === "responses") {
    const error = { code: "server_error", message: refused.message };
    const failed = { type: "response.failed", response: { object: "response", status: "failed", error } };
    return `event: response.failed\ndata: ${JSON.stringify(failed)}\n\n`;
  }
  const data = JSON.stringify({ type: "error", error: { type: refused.type, message: refused.message } });
  return `event: error\ndata: ${data}\n\n`;
}
