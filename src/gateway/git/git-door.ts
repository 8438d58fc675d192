import type { IncomingMessage, ServerResponse } from "node:http";
import { messageOf } from "../../domain/errors.ts";
import { type GitAnswer, type GitTarget, parseGitTarget } from "../../domain/git-server.ts";
import type { SandboxId, TaskId } from "../../domain/ids.ts";
import type { GitGrant, GitPort, Log, ScopedTokens } from "../../domain/ports.ts";
import { printable } from "../../domain/push-policy.ts";
import { allowPush, type PushRequest } from "./push.ts";
import { createPushReportReader } from "./push-report.ts";
import { bodyOf, drain, pour } from "./streams.ts";

/**
 * The way from a sandbox to its task's repositories: fetch every branch, push the task's own one. `path` is the
 * raw target behind `/git`, query included.
 */
export type GitDoor = (
  sandbox: { id: SandboxId; taskId: TaskId },
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
) => Promise<void>;

export interface GitDoorOptions {
  port: GitPort;
  tokens: ScopedTokens;
  log: Log;
  /** Git processes of one sandbox at once; default 16. More are told to come again. */
  maxConcurrent?: number;
  /** How long a client may keep us waiting before git runs: for its ref updates, or to hear a refusal. Default 60 s. */
  patienceMs?: number;
}

export function createGitDoor(options: GitDoorOptions): GitDoor {
  const { port, tokens, log, maxConcurrent = 16, patienceMs = 60_000 } = options;
  const running = new Map<SandboxId, number>();

  return async (sandbox, request, response, path) => {
    const gone = new AbortController();
    response.once("close", () => gone.abort());
    try {
      await admit(sandbox, request, response, path, gone.signal);
    } catch (error) {
      const clientLeft = gone.signal.aborted || (request.destroyed && !request.complete);
      if (!clientLeft) log.error("git request failed", { sandbox: sandbox.id, error: messageOf(error) });
      if (response.headersSent) response.destroy();
      else refuse(request, response, 500, "The appliance could not answer. Its log says why.");
    }
  };

  async function admit(
    sandbox: { id: SandboxId },
    request: IncomingMessage,
    response: ServerResponse,
    path: string,
    signal: AbortSignal,
  ): Promise<void> {
    const target = parseGitTarget(path);
    if (target === undefined) return refuse(request, response, 404, "There is no such repository here.");
    const method = target.kind === "advertise" ? "GET" : "POST";
    if (request.method !== method) {
      response.setHeader("allow", method);
      return refuse(request, response, 405, `Only ${method} is understood here.`);
    }
    const token = tokenOf(request.headers.authorization);
    if (token === undefined || !tokens.matches(sandbox.id, "git", token)) {
      response.setHeader("www-authenticate", 'Basic realm="ccw", charset="UTF-8"');
      return refuse(request, response, 401, "This needs the sandbox's own git credential.");
    }
    const grant = port.grantFor(sandbox.id, target.repository);
    if (grant === undefined) return refuse(request, response, 404, "There is no such repository here.");

    const others = running.get(sandbox.id) ?? 0;
    if (others >= maxConcurrent) {
      response.setHeader("retry-after", "1");
      return refuse(request, response, 503, "Too many git requests of this sandbox at once. Try again.");
    }
    running.set(sandbox.id, others + 1);
    try {
      await answer(sandbox, request, response, target, grant, signal);
    } finally {
      const left = (running.get(sandbox.id) ?? 1) - 1;
      if (left === 0) running.delete(sandbox.id);
      else running.set(sandbox.id, left);
    }
  }

  async function answer(
    sandbox: { id: SandboxId },
    request: IncomingMessage,
    response: ServerResponse,
    target: GitTarget,
    grant: GitGrant,
    signal: AbortSignal,
  ): Promise<void> {
    const serve = (body: AsyncIterable<Uint8Array> | undefined): Promise<GitAnswer> =>
      grant.endpoint.serve({
        service: target.service,
        body,
        headers: {
          contentType: request.headers["content-type"],
          contentEncoding: request.headers["content-encoding"],
          gitProtocol: headerOnce(request.headers["git-protocol"]),
        },
        right: grant.right,
        signal,
      });

    if (target.kind === "advertise") return pour(await serve(undefined), response, signal);
    const body = bodyOf(request);
    if (target.service === "git-upload-pack") return pour(await serve(body.rest()), response, signal);

    const encoding = request.headers["content-encoding"];
    if (encoding !== undefined && encoding !== "identity") {
      return refuse(request, response, 415, "A push is taken as git sends it, not compressed again.");
    }
    const right = grant.right.kind === "branch" ? grant.right : undefined;
    const isSymbolic = () => grant.endpoint.isSymbolicRef(`refs/heads/${right?.branch}`);
    const push = await allowPush({ body, right, isSymbolic, patienceMs });
    if (push.kind === "allowed") {
      const reader = createPushReportReader(push.capabilities);
      await pour(await serve(push.body), response, signal, reader.read);
      const { unpack, refused } = reader.report();
      for (const { ref, reason } of refused) {
        report(sandbox.id, grant, printable(ref), printable(unpack === "ok" ? reason : unpack));
      }
      return;
    }
    if (push.kind === "refused") report(sandbox.id, grant, push.ref, push.reason);
    // The client hears nothing before it has sent all.
    if (!(await drain(body, patienceMs))) response.setHeader("connection", "close");
    sendPushAnswer(response, push);
  }

  function report(sandbox: SandboxId, grant: GitGrant, ref: string, reason: string): void {
    log.warn("push refused", { sandbox, repository: grant.name, ref, reason });
    port.refused(sandbox, grant.name, ref, reason);
  }
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
function refuse(request: IncomingMessage, response: ServerResponse, status: number, message: string): void {
  response.writeHead(status, {
    "content-type": "text/plain; charset=utf-8",
    ...(request.method === "GET" ? {} : { connection: "close" }),
  });
  response.end(`${message}\n`);
}

/** The token of `Bearer <token>`, or of `Basic <user:token>` as git's credential helpers send it. */
function tokenOf(authorization: string | undefined): string | undefined {
  const [, scheme, value] = /^(Bearer|Basic) ([\w.~+/=-]{1,4096})$/i.exec(authorization ?? "") ?? [];
  if (scheme === undefined || value === undefined) return undefined;
  if (scheme.toLowerCase() === "bearer") return value;
  const pair = Buffer.from(value, "base64").toString();
  const colon = pair.indexOf(":");
  return colon === -1 ? undefined : pair.slice(colon + 1);
}

function headerOnce(value: string | string[] | undefined): string | undefined {
  return typeof value === "string" ? value : undefined;
}
