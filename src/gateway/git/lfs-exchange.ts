import type { IncomingMessage, ServerResponse } from "node:http";
import type { LfsTarget } from "../../domain/lfs.ts";
import { answerLfs } from "../../domain/lfs-answers.ts";
import type { GitGrant } from "../../domain/ports.ts";
import { lengthOf } from "./exchange.ts";
import { bodyOf, drain, pour } from "./streams.ts";

/** One request for large files of a repository that was granted. */
export interface LfsExchange {
  request: IncomingMessage;
  response: ServerResponse;
  target: LfsTarget;
  /** Of the tickets that are handed out. */
  holder: string;
  grant: GitGrant;
  /** How long a client may take to hear a refusal. */
  patienceMs: number;
  refused(ref: string, reason: string): void;
}

export async function serveLfs(exchange: LfsExchange, signal: AbortSignal): Promise<void> {
  const { request, response, target, holder, grant, patienceMs, refused } = exchange;
  const body = bodyOf(request);
  const answer = await answerLfs({
    http: {
      request: target.request,
      method: request.method ?? "",
      contentLength: lengthOf(request),
      range: request.headers.range,
      body: body.rest(),
    },
    caller: { right: grant.right, holder, base: baseOf(request, target), signal },
    endpoint: grant.lfs,
    refused,
  });
  // Whoever sends an object reads no answer before all of it is sent.
  if (answer.status >= 400 && request.method === "PUT") await drain(body, patienceMs);
  await pour(answer, response, signal);
}

/** The client is told addresses under the one that it used: only its own requests ever go there. */
function baseOf({ headers: { host = "" } }: IncomingMessage, { repository }: LfsTarget): string {
  const authority = /^[\w.:[\]-]{1,260}$/.test(host) ? host : "localhost";
  return `http://${authority}/git/${repository}.git/info/lfs`;
}
