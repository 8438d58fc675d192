import { createServer, type IncomingMessage, type Server } from "node:http";
import { type GitEndpoint, type PushRight, parseRelayTarget } from "../../domain/git-server.ts";
import type { Log } from "../../domain/ports.ts";
import { methodOf, refuse, serveGit, whileConnected } from "./exchange.ts";

/**
 * The door's own code as a server for anybody who reaches it: no tokens, no grants, paths as they come. It listens
 * where the caller says.
 */
export function createGitRelayServer(options: {
  endpointOf(path: string, request: IncomingMessage): GitEndpoint;
  /** Of every client, in every repository. */
  right: PushRight;
  log: Log;
}): Server {
  const { endpointOf, right, log } = options;
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
        const name = target.repository;
        const grant = { name, right, endpoint: endpointOf(name, request) };
        const refused = (ref: string, reason: string) =>
          log.warn("push refused", { repository: name, ref, reason });
        await serveGit({ request, response, target, grant, patienceMs: 60_000, refused }, signal);
      });
    },
  );
}
