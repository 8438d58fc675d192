import { createServer, type IncomingMessage, type Server } from "node:http";
import { parseRelayTarget } from "../../domain/git-server.ts";
import type { GitGrant, Log } from "../../domain/ports.ts";
import { methodOf, refuse, serveGit, whileConnected } from "./exchange.ts";

/**
 * The door's own code as a server for anybody who reaches it: no tokens, no grants, paths as they come. It listens
 * where the caller says.
 */
export function createGitRelayServer(options: {
  /** Whoever asks; `path` begins with `/`, or is empty. */
  grantOf(path: string, request: IncomingMessage): GitGrant;
  log: Log;
}): Server {
  const { grantOf, log } = options;
  return createServer(
    { maxHeaderSize: 64 * 1024, requestTimeout: 0, keepAliveTimeout: 60_000 },
    (request, response) => {
      response.on("error", () => undefined);
      void whileConnected({ request, response, log, who: "relay" }, async (signal) => {
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
