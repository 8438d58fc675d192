import { createServer, type IncomingMessage, type Server } from "node:http";
import { type GitAnswer, parseRelayTarget } from "../../domain/git-server.ts";
import { parseRelayLfs, type RelayedLfs } from "../../domain/lfs.ts";
import type { GitGrant, Log } from "../../domain/ports.ts";
import { methodOf, refuse, serveGit, whileConnected } from "./exchange.ts";
import { pour } from "./streams.ts";

/**
 * The door's own code as a server for anybody who reaches it: no tokens, no grants, paths as they come. It listens
 * where the caller says.
 */
export function createGitRelayServer(options: {
  /** Whoever asks; `path` begins with `/`, or is empty. */
  grantOf(path: string, request: IncomingMessage): GitGrant;
  /** Answers a request for large files. */
  lfs(target: RelayedLfs, request: IncomingMessage, signal: AbortSignal): Promise<GitAnswer>;
  log: Log;
}): Server {
  const { grantOf, lfs, log } = options;
  return createServer(
    { maxHeaderSize: 64 * 1024, requestTimeout: 0, keepAliveTimeout: 60_000 },
    (request, response) => {
      response.on("error", () => undefined);
      void whileConnected({ request, response, log, who: "relay" }, async (signal) => {
        const relayed = parseRelayLfs(request.url ?? "");
        if (relayed !== undefined) return pour(await lfs(relayed, request, signal), response, signal);
        const target = parseRelayTarget(request.url ?? "");
        if (target === undefined) return refuse(request, response, 404, "There is nothing for git here.");
        const method = methodOf(target);
        if (request.method !== method) {
          response.setHeader("allow", method);
          return refuse(request, response, 405, `Only ${method} is understood here.`);
        }
        const grant = grantOf(target.repository, request);
        const refused = (ref: string, reason: string) =>
          log.warn("push refused", { repository: grant.name, ref, reason });
        await serveGit({ request, response, target, grant, patienceMs: 60_000, refused }, signal);
      });
    },
  );
}
