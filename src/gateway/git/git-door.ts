import type { IncomingMessage, ServerResponse } from "node:http";
import { parseGitTarget } from "../../domain/git-server.ts";
import type { SandboxId, TaskId } from "../../domain/ids.ts";
import { parseLfsTarget } from "../../domain/lfs.ts";
import type { GitPort, Log, ScopedTokens } from "../../domain/ports.ts";
import { methodOf, refuse, serveGit, whileConnected } from "./exchange.ts";
import { serveLfs } from "./lfs-exchange.ts";

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

  return (sandbox, request, response, path) =>
    whileConnected({ request, response, log, who: sandbox.id }, (signal) =>
      admit(sandbox, request, response, path, signal),
    );

  async function admit(
    sandbox: { id: SandboxId },
    request: IncomingMessage,
    response: ServerResponse,
    path: string,
    signal: AbortSignal,
  ): Promise<void> {
    const lfs = parseLfsTarget(path);
    const target = lfs === undefined ? parseGitTarget(path) : undefined;
    const repository = (lfs ?? target)?.repository;
    if (repository === undefined) return refuse(request, response, 404, noRepository);
    const method = target && methodOf(target);
    if (method !== undefined && request.method !== method) {
      response.setHeader("allow", method);
      return refuse(request, response, 405, `Only ${method} is understood here.`);
    }
    const token = tokenOf(request.headers.authorization);
    if (token === undefined || !tokens.matches(sandbox.id, "git", token)) {
      response.setHeader("www-authenticate", 'Basic realm="ccw", charset="UTF-8"');
      return refuse(request, response, 401, "This needs the sandbox's own git credential.");
    }
    const grant = port.grantFor(sandbox.id, repository);
    // Also for a neighbour whose address only begins like a granted one, as `insteadOf` brings it here. To send git on
    // to the internet is no way: it would take the sandbox's credential along to the other host.
    if (grant === undefined || grant.name !== repository) {
      return refuse(request, response, 404, noRepository);
    }

    const others = running.get(sandbox.id) ?? 0;
    if (others >= maxConcurrent) {
      response.setHeader("retry-after", "1");
      return refuse(request, response, 503, "Too many git requests of this sandbox at once. Try again.");
    }
    running.set(sandbox.id, others + 1);
    try {
      const refused = (ref: string, reason: string) => {
        log.warn("push refused", { sandbox: sandbox.id, repository: grant.name, ref, reason });
        port.refused(sandbox.id, grant.name, ref, reason);
      };
      if (target !== undefined) {
        await serveGit({ request, response, target, grant, patienceMs, refused }, signal);
      } else if (lfs !== undefined) {
        const holder = sandbox.id;
        await serveLfs({ request, response, target: lfs, holder, grant, patienceMs, refused }, signal);
      }
    } finally {
      const left = (running.get(sandbox.id) ?? 1) - 1;
      if (left === 0) running.delete(sandbox.id);
      else running.set(sandbox.id, left);
    }
  }
}

const noRepository = "There is no such repository here.";

/** The token of `Bearer <token>`, or of `Basic <user:token>` as git's credential helpers send it. */
function tokenOf(authorization: string | undefined): string | undefined {
  const [, scheme, value] = /^(Bearer|Basic) ([\w.~+/=-]{1,4096})$/i.exec(authorization ?? "") ?? [];
  if (scheme === undefined || value === undefined) return undefined;
  if (scheme.toLowerCase() === "bearer") return value;
  const pair = Buffer.from(value, "base64").toString();
  const colon = pair.indexOf(":");
  return colon === -1 ? undefined : pair.slice(colon + 1);
}
