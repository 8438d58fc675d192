import { Agent as HttpAgent, type IncomingMessage, type ServerResponse } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { rootCertificates } from "node:tls";
import { messageOf } from "../../domain/errors.ts";
import type { SandboxId, TaskId } from "../../domain/ids.ts";
import type { ModelEndpoint } from "../../domain/model.ts";
import type { Log, ModelPort, ScopedTokens } from "../../domain/ports.ts";
import { refusal, sendRefusal } from "./api-error.ts";
import { defaultLimits, type Exchange, forward, type ModelDoorLimits } from "./forward.ts";
import { presentedTokens, requestHeaders } from "./headers.ts";
import { createSecretMask } from "./mask-secret.ts";
import { routeOf } from "./route.ts";

export interface ModelDoor {
  /**
   * Answers one request of a sandbox; resolves when it is over and never rejects. `path` is what follows `/model`,
   * query included and as it was sent: `/v1/messages?beta=true`.
   */
  handle(
    sandbox: { id: SandboxId; taskId: TaskId },
    request: IncomingMessage,
    response: ServerResponse,
    path: string,
  ): Promise<void>;
  /** Lets go of the connections to the endpoint that are kept for the next request. */
  close(): void;
}

/**
 * The way to the model. The sandbox's scoped token is swapped for the real credential, and what the answer says was
 * used is recorded: once for each `/v1/messages` that was passed on, whatever became of it. What the door itself
 * refuses, and `count_tokens`, which costs nothing, are not recorded.
 *
 * `ca` is a PEM text of authorities that are trusted beside the usual ones.
 */
export function createModelDoor(options: {
  port: ModelPort;
  tokens: ScopedTokens;
  log: Log;
  now: () => number;
  ca?: string | undefined;
  limits?: Partial<ModelDoorLimits>;
}): ModelDoor {
  const { port, tokens, log, now } = options;
  const limits = { ...defaultLimits, ...options.limits };
  const pool = {
    keepAlive: true,
    maxSockets: Number.POSITIVE_INFINITY,
    maxFreeSockets: 64,
    timeout: limits.keepMs,
  };
  const http = new HttpAgent(pool);
  const https = new HttpsAgent(
    options.ca === undefined ? pool : { ...pool, ca: [...rootCertificates, options.ca] },
  );

  function endpointFor(sandboxId: SandboxId): ModelEndpoint | undefined {
    try {
      return port.endpointFor(sandboxId);
    } catch (error) {
      log.error("no endpoint for a sandbox", { sandboxId, reason: messageOf(error) });
      return undefined;
    }
  }

  return {
    async handle(sandbox, request, response, path) {
      const route = routeOf(request.method ?? "", path);
      if (route.kind === "hello") {
        response.writeHead(200, { "content-length": 0 });
        response.end();
        return;
      }
      const presented = presentedTokens(request.headers);
      if (presented.length === 0 || !presented.every((token) => tokens.matches(sandbox.id, "model", token))) {
        log.warn("model request with a wrong token refused", { sandboxId: sandbox.id });
        return sendRefusal(request, response, wrongToken);
      }
      if (route.kind === "refuse") return sendRefusal(request, response, route.refused);
      if ((request.headers["content-encoding"] ?? "identity") !== "identity") {
        return sendRefusal(request, response, compressed);
      }

      const endpoint = endpointFor(sandbox.id);
      const url = endpoint === undefined ? undefined : urlOf(endpoint, route.path);
      if (endpoint === undefined || url === undefined) return sendRefusal(request, response, noEndpoint);

      const at = now();
      const exchange = await forward(
        request,
        response,
        {
          url,
          agent: url.protocol === "https:" ? https : http,
          headers: requestHeaders(request.headers, endpoint),
        },
        createSecretMask(endpoint.credential.value.replace(/^Bearer +/i, "")),
        limits,
      );
      if (exchange.failure !== undefined) {
        log.warn("model request failed", {
          sandboxId: sandbox.id,
          status: exchange.status,
          reason: exchange.failure,
        });
      }
      if (route.metered)
        port.record({ sandboxId: sandbox.id, taskId: sandbox.taskId, at, ...counted(exchange) });
    },
    close() {
      http.destroy();
      https.destroy();
    },
  };
}

function counted({ usage, requestedModel, status, firstByteMs, totalMs }: Exchange) {
  return { ...usage, model: usage.model === "" ? requestedModel : usage.model, status, firstByteMs, totalMs };
}

function urlOf(endpoint: ModelEndpoint, path: string): URL | undefined {
  const url = URL.parse(`${endpoint.baseUrl}${path}`);
  if (url === null || !["http:", "https:"].includes(url.protocol)) return undefined;
  // Else they would become a second credential in the request's head.
  url.username = "";
  url.password = "";
  return url;
}

const wrongToken = refusal(
  401,
  "authentication_error",
  "The model door takes this sandbox's own token only, no other key.",
);
const compressed = refusal(415, "invalid_request_error", "The model door takes no compressed requests.");
const noEndpoint = refusal(
  503,
  "api_error",
  "No model is set up for this task. The operator sets an endpoint or a key in ccw.toml or on the set-up page, or starts the built-in demo model.",
);
