import type { IncomingMessage } from "node:http";
import { parseJson } from "../../domain/json.ts";
import type { ModelApi } from "../../domain/model.ts";

/** Larger requests, of which the API takes none, pass as they are. */
export const longestTold = 32 * 1024 * 1024;

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * A request with a text behind the last words of its user; undefined where that is not to be: what has
 * no tools is no step of the agent's work but a helper's question (a title, a summary), and what is no such request at
 * all is the endpoint's to refuse.
 */
export function withNote(body: string, text: string, api: ModelApi): string | undefined {
  const request = parseJson(body);
  if (api === "responses") return noteInResponses(request, text);
  if (!isRecord(request) || !Array.isArray(request["messages"])) return undefined;
  if (!Array.isArray(request["tools"]) || request["tools"].length === 0) return undefined;
  const messages: unknown[] = request["messages"];
  const at = messages.findLastIndex((message) => isRecord(message) && message["role"] === "user");
  const last = messages[at];
  if (!isRecord(last)) return undefined;
  const { content } = last;
  const note = { type: "text", text };
  if (typeof content === "string") last["content"] = [{ type: "text", text: content }, note];
  else if (Array.isArray(content)) last["content"] = [...content, note];
  else return undefined;
  return JSON.stringify(request);
}

/** Of the Responses API: one more message of the user. The agent's tools may stand among its items. */
function noteInResponses(request: unknown, text: string): string | undefined {
  if (!isRecord(request) || !Array.isArray(request["input"])) return undefined;
  const input: unknown[] = request["input"];
  const hasTools =
    (Array.isArray(request["tools"]) && request["tools"].length > 0) ||
    input.some((item) => isRecord(item) && item["type"] === "additional_tools");
  if (!hasTools) return undefined;
  const note = { type: "message", role: "user", content: [{ type: "input_text", text }] };
  return JSON.stringify({ ...request, input: [...input, note] });
}

/** The whole body; undefined where nothing came for `idleMs`, or its sender has gone. */
export function bodyOf(request: IncomingMessage, idleMs: number): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const idle = setTimeout(() => resolve(undefined), idleMs);
    request.on("data", (chunk: Buffer) => {
      chunks.push(Buffer.from(chunk));
      idle.refresh();
    });
    request.once("end", () => {
      clearTimeout(idle);
      resolve(Buffer.concat(chunks));
    });
    request.once("close", () => {
      clearTimeout(idle);
      resolve(undefined);
    });
  });
}
