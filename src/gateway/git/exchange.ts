import type { IncomingMessage, ServerResponse } from "node:http";
import { messageOf } from "../../domain/errors.ts";
import type { GitCall, GitTarget } from "../../domain/git-server.ts";
import type { GitGrant, Log } from "../../domain/ports.ts";
import { printable } from "../../domain/push-policy.ts";
import { asksForReport, createPushReportReader } from "../../domain/push-report.ts";
import { allowPush, type PushRequest } from "./push.ts";
import { bodyOf, drain, pour } from "./streams.ts";

/** One request to a repository that was granted, from its head to the last byte of its answer. */
export interface GitExchange {
  request: IncomingMessage;
  response: ServerResponse;
  target: Pick<GitTarget, "kind" | "service">;
  grant: GitGrant;
  /** How long a client may keep us waiting: for its ref updates, or to hear a refusal. */
  patienceMs: number;
  /** Called for each ref of a push that was refused, by us or by the repository's server. */
  refused(ref: string, reason: string): void;
}

/** The method that a request of this kind has. */
export const methodOf = (target: Pick<GitTarget, "kind">): "GET" | "POST" =>
  target.kind === "advertise" ? "GET" : "POST";

/**
 * Runs `work` with a signal that ends when the client goes. What fails is logged, and the client told no more than
 * that.
 */
export async function whileConnected(
  {
    request,
    response,
    log,
    who,
  }: { request: IncomingMessage; response: ServerResponse; log: Log; who: string },
  work: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  try {
    await work(gone.signal);
  } catch (error) {
    const clientLeft = gone.signal.aborted || (request.destroyed && !request.complete);
    if (!clientLeft) log.error("git request failed", { sandbox: who, error: messageOf(error) });
    if (response.headersSent) response.destroy();
    else refuse(request, response, 500, "The appliance could not answer. Its log says why.");
  }
}

export async function serveGit(exchange: GitExchange, signal: AbortSignal): Promise<void> {
  const { request, response, target, grant, patienceMs } = exchange;
  const call = {
    service: target.service,
    headers: {
      contentType: request.headers["content-type"],
      contentEncoding: request.headers["content-encoding"],
      gitProtocol: headerOnce(request.headers["git-protocol"]),
      acceptEncoding: headerOnce(request.headers["accept-encoding"]),
    },
    right: grant.right,
    signal,
  };
  const isPush = target.service === "git-receive-pack";
  if (target.kind === "advertise") {
    if (isPush && grant.right.kind === "none") {
      return refuse(request, response, 403, "This repository may only be read.");
    }
    return pour(await grant.endpoint.serve({ ...call, body: undefined }), response, signal);
  }

  const fault = faultOf(request, target);
  if (fault !== undefined) return refuse(request, response, 415, fault);
  const body = bodyOf(request);
  const length = lengthOf(request);
  if (!isPush || grant.right.kind === "any") {
    return pour(
      await grant.endpoint.serve({ ...call, body: body.rest(), contentLength: length }),
      response,
      signal,
    );
  }
  const push = await allowPush({ body, length, grant, patienceMs });
  if (push.kind === "allowed") return passPush(exchange, call, push, signal);
  if (push.kind === "refused") exchange.refused(push.ref, push.reason);
  // The client hears nothing before it has sent all.
  if (!(await drain(body, patienceMs))) response.setHeader("connection", "close");
  sendPushAnswer(response, push);
}

async function passPush(
  { response, grant, refused }: GitExchange,
  call: Omit<GitCall, "body">,
  push: Extract<PushRequest, { kind: "allowed" }>,
  signal: AbortSignal,
): Promise<void> {
  const { commands, capabilities } = push.push;
  const reader = createPushReportReader(capabilities);
  const { body, contentLength } = push;
  const [update] = commands;
  // Without a report nobody could say that the one push was made.
  const ended = update && asksForReport(capabilities) ? grant.rewrite?.begin(update) : undefined;
  const right =
    ended !== undefined && call.right.kind === "branch" ? { ...call.right, force: true } : call.right;
  try {
    const answer = await grant.endpoint.serve({ ...call, right, body, contentLength, push: push.push });
    await pour(answer, response, signal, reader.read);
  } finally {
    ended?.(update !== undefined && reader.report().taken.includes(update.ref));
  }
  const report = reader.report();
  for (const { ref, reason } of report.refused) {
    refused(printable(ref), printable(report.unpack === "ok" ? reason : report.unpack));
  }
}

/** Why the body is none that is taken, whoever the repository belongs to. */
function faultOf(request: IncomingMessage, target: Pick<GitTarget, "service">): string | undefined {
  const { "content-type": type, "content-encoding": encoding = "identity" } = request.headers;
  if (type !== `application/x-${target.service}-request`) {
    return `This address takes application/x-${target.service}-request only.`;
  }
  if (encoding === "identity") return undefined;
  // Git compresses fetch requests only; a pack is compressed already.
  if (target.service === "git-receive-pack") return "A push is taken as git sends it, not compressed again.";
  return /^(x-)?gzip$/.test(encoding) ? undefined : "This content encoding is not taken here.";
}

export function lengthOf(request: IncomingMessage): number | undefined {
  const length = request.headers["content-length"];
  return length !== undefined && /^\d{1,15}$/.test(length) ? Number(length) : undefined;
}

function sendPushAnswer(response: ServerResponse, push: Exclude<PushRequest, { kind: "allowed" }>): void {
  switch (push.kind) {
    case "malformed":
      response.writeHead(400, { "content-type": "text/plain; charset=utf-8" });
      response.end(`This is not a push as git writes it: ${push.reason}.\n`);
      return;
    case "probe":
      response.writeHead(200, { "content-type": "application/x-git-receive-pack-result" });
      response.end();
      return;
    case "refused":
      if (push.answer === undefined) {
        response.writeHead(403, { "content-type": "text/plain; charset=utf-8" });
        response.end(`Push refused: ${push.ref}: ${push.reason}.\n`);
        return;
      }
      response.writeHead(200, {
        "content-type": "application/x-git-receive-pack-result",
        "cache-control": "no-cache",
      });
      response.end(push.answer);
  }
}

/** An answer before the body was read. Its connection is of no more use, since nobody reads that body. */
export function refuse(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  message: string,
): void {
  response.writeHead(status, {
    "content-type": "text/plain; charset=utf-8",
    ...(request.method === "GET" ? {} : { connection: "close" }),
  });
  response.end(`${message}\n`);
}

function headerOnce(value: string | string[] | undefined): string | undefined {
  return typeof value === "string" ? value : undefined;
}
