import { Agent as HttpAgent, type IncomingMessage, type ServerResponse } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { rootCertificates } from "node:tls";
import { messageOf } from "../../domain/errors.ts";
import type { SandboxId, TaskId } from "../../domain/ids.ts";
import type { ModelApi, ModelEndpoint } from "../../domain/model.ts";
import type { Admission, Log, ModelPort, ScopedTokens } from "../../domain/ports.ts";
import { usageLimitOf } from "../../domain/usage-limit.ts";
import { holdAndRefuse, type Refusal, refusal, sendRefusal } from "./api-error.ts";
import { uploadStalled } from "./endpoint-faults.ts";
import { defaultLimits, type Exchange, forward, type ModelDoorLimits } from "./forward.ts";
import { presentedTokens, requestHeaders } from "./headers.ts";
import { createSecretMask } from "./mask-secret.ts";
import { type Route, routeOf } from "./route.ts";
import { bodyOf, longestTold, withNote } from "./tell-agent.ts";

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
 * used is recorded: once for each `/v1/messages` and `/v1/responses` that was passed on, whatever became of it. What the door itself
 * refuses, and `count_tokens`, which costs nothing, are not recorded. Budgets and the account's usage limit stop a
 * request here; where the task is to be paused, it is held until its sandbox is.
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

  function endpointFor(sandboxId: SandboxId, api: ModelApi): ModelEndpoint | undefined {
    try {
      return port.endpointFor(sandboxId, api);
    } catch (error) {
      log.error("no endpoint for a sandbox", { sandboxId, reason: messageOf(error) });
      return undefined;
    }
  }

  /** Waits for as long as a budget has no room beside what is under way, and the sandbox stays. */
  async function admit(
    sandboxId: SandboxId,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<Exclude<Admission, { kind: "wait" }> | "gone" | undefined> {
    const bytes = Number(request.headers["content-length"] ?? 0) || 0;
    const gone = new Promise<void>((resolve) => response.once("close", resolve));
    try {
      for (;;) {
        if (response.destroyed) return "gone";
        const admission = port.admit(sandboxId, bytes);
        if (admission.kind !== "wait") return admission;
        await Promise.race([admission.changed, gone]);
      }
    } catch (error) {
      log.error("no decision on a model request", { sandboxId, reason: messageOf(error) });
      return undefined;
    }
  }

  /** One request that may be made now. */
  async function passOn(
    sandbox: { id: SandboxId; taskId: TaskId },
    request: IncomingMessage,
    response: ServerResponse,
    route: Extract<Route, { kind: "forward" }>,
    admission: Extract<Admission, { kind: "pass" | "tell" }>,
  ): Promise<void> {
    // Its task may have ended while it waited.
    const endpoint = endpointFor(sandbox.id, route.api);
    const url = endpoint === undefined ? undefined : urlOf(endpoint, route.path);
    if (endpoint === undefined || url === undefined) return sendRefusal(request, response, noEndpoint);
    const at = now();
    const headers = requestHeaders(request.headers, endpoint);
    let body: Buffer | undefined;
    if (admission.kind === "tell" && Number(request.headers["content-length"]) <= longestTold) {
      const given = await bodyOf(request, limits.uploadIdleMs);
      if (given === undefined) return sendRefusal(request, response, uploadStalled(limits.uploadIdleMs));
      const told = withNote(given.toString("utf8"), admission.text, route.api);
      body = told === undefined ? given : Buffer.from(told);
      headers["content-length"] = body.length;
    }
    const exchange = await forward(
      request,
      response,
      {
        url,
        api: route.api,
        agent: url.protocol === "https:" ? https : http,
        headers,
        body,
        refuse(status, answered) {
          const found = usageLimitOf(status, answered, now());
          if (found === undefined) return undefined;
          // The account of the Messages API is the one that all tasks wait for.
          const limit = { ...found, ofModel: found.ofModel || route.api === "responses" };
          log.warn("the usage limit of the model account is reached", {
            sandboxId: sandbox.id,
            until: new Date(limit.until).toISOString(),
          });
          try {
            port.limited(sandbox.id, limit);
          } catch (error) {
            log.error("a usage limit could not be noted", {
              sandboxId: sandbox.id,
              reason: messageOf(error),
            });
          }
          const reason = `The usage limit of the model account is reached until ${new Date(limit.until).toISOString()}.`;
          return parked({ kind: "park", status: 429, reason });
        },
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
    if (!route.metered) return;
    const { promptId } = admission;
    port.record({ sandboxId: sandbox.id, taskId: sandbox.taskId, promptId, at, ...counted(exchange) });
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

      const admission = route.metered ? await admit(sandbox.id, request, response) : free;
      if (admission === "gone") return;
      if (admission === undefined) return sendRefusal(request, response, undecided);
      if (admission.kind === "park") {
        log.info("model request held, its task is being paused", {
          sandboxId: sandbox.id,
          reason: admission.reason,
        });
        return holdAndRefuse(request, response, parked(admission), limits.holdMs);
      }
      try {
        await passOn(sandbox, request, response, route, admission);
      } finally {
        admission.settle?.();
      }
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

function parked({ status, reason }: Extract<Admission, { kind: "park" }>): Refusal {
  return refusal(status, status === 429 ? "rate_limit_error" : "invalid_request_error", reason);
}

function urlOf(endpoint: ModelEndpoint, path: string): URL | undefined {
  const url = URL.parse(`${endpoint.baseUrl}${path}`);
  if (url === null || !["http:", "https:"].includes(url.protocol)) return undefined;
  // Else they would become a second credential in the request's head.
  url.username = "";
  url.password = "";
  return url;
}

/** For what costs nothing. */
const free: Extract<Admission, { kind: "pass" }> = { kind: "pass", promptId: undefined };

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
const undecided = refusal(
  503,
  "api_error",
  "The appliance cannot tell whether a budget allows this request; its log says why.",
  { retry: true },
);
