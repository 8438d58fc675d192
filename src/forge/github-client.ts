import { retry } from "@octokit/plugin-retry";
import { throttling } from "@octokit/plugin-throttling";
import { RequestError } from "@octokit/request-error";
import { Octokit } from "@octokit/rest";
import { CcwError } from "../domain/errors.ts";
import { forgeError, notAnApi } from "./forge-errors.ts";
import type { ForgeFetch } from "./forge-fetch.ts";
import { createConditionalFetch } from "./forge-memory.ts";
import { canWait, createPatientFetch, type Patience, retryAfterOf } from "./forge-patience.ts";

export interface GithubClientOptions extends Patience {
  forge: { name: string; apiUrl: string };
  fetch: ForgeFetch;
  now(): number;
  /** Between requests that write; left out, that is what GitHub recommends: 1 s, and 3 s for what notifies people. */
  pace?: GithubPace;
  /** How octokit proves who it is; left out where each request has its own header. */
  auth?: Pick<ConstructorParameters<typeof Octokit>[0] & object, "auth" | "authStrategy">;
}

type Throttle = (ConstructorParameters<typeof Client>[0] & object)["throttle"] & object;
export type GithubPace = Pick<Throttle, "write" | "notifications"> & {
  /** Before something that failed is asked again: this, and four times this. */
  retryMs: number;
};

const Client = Octokit.plugin(retry, throttling);

/** Octokit with its plugins, over a fetch of ours. What it rejects with is to go through `githubError`. */
export function createGithubClient(options: GithubClientOptions): Octokit {
  const { forge, now, onWaiting } = options;
  const limit = (kind: string) => (seconds: number, _: object, _octokit: object, times: number) => {
    const waits = canWait(seconds, times, options);
    if (waits) onWaiting?.(`The forge ${forge.name} has ${kind} and is asked again in ${seconds} s.`);
    return waits;
  };
  const patient = createPatientFetch(options.fetch, { ...options, forge: forge.name, outages: false, now });
  const client = new Client({
    ...options.auth,
    baseUrl: forge.apiUrl,
    userAgent: "ccw-server",
    request: { fetch: createConditionalFetch(patient), redirect: "manual" },
    retry: {
      doNotRetry: [400, 401, 403, 404, 405, 406, 409, 410, 413, 422, 429, 451],
      retries: 2,
      retryAfterBaseValue: options.pace?.retryMs ?? 1000,
    },
    throttle: {
      // The plugin keeps its pace by this name, for all clients of the process.
      id: forge.apiUrl,
      ...options.pace,
      onRateLimit: limit("used up its requests of this hour"),
      onSecondaryRateLimit: limit("slowed us down (secondary rate limit)"),
    },
    // Said in words by `githubError` and `onWaiting`; the plugins would write to the console.
    log: { debug() {}, info() {}, warn() {}, error() {} },
  });
  client.hook.before("request", (request) => {
    // What failed half-way may have been done: of what writes, a person decides.
    if (request.method !== "GET") request.request = { ...request.request, retries: 0 };
  });
  client.hook.after("request", ({ status, data, headers }) => {
    if (status >= 300) throw forgeError({ forge: forge.name, status, message: "" });
    const type = String(headers["content-type"] ?? "");
    if (status === 200 && typeof data === "string" && !/\bjson\b/.test(type)) throw notAnApi(forge.name);
  });
  return client;
}

/** Anything that octokit rejects with, as what the forge's contract promises. A defect stays what it is. */
export function githubError(forge: string, thrown: unknown, now: number): unknown {
  if (thrown instanceof CcwError) return thrown;
  if (!(thrown instanceof RequestError)) return thrown;
  if (thrown.cause instanceof CcwError) return thrown.cause;
  if (thrown.response === undefined) {
    return new CcwError(
      "unavailable",
      `The forge ${forge} cannot be asked: ${thrown.message}.`,
      "Try again.",
    );
  }
  const { status, headers, data } = thrown.response;
  const reset = Number(headers["x-ratelimit-reset"]);
  const limited =
    status === 429 ||
    (status === 403 && (headers["x-ratelimit-remaining"] === "0" || /\brate limit/i.test(thrown.message)));
  return forgeError({
    forge,
    status,
    limited,
    message: messageIn(data),
    retryAfter:
      retryAfterOf(String(headers["retry-after"] ?? ""), now) ??
      (limited && reset > 0 ? Math.max(1, Math.ceil(reset - now / 1000)) : undefined),
  });
}

/** GitHub's own words: `message`, and what its `errors` say more. A page's text is nobody's words. */
function messageIn(data: unknown): string {
  if (typeof data !== "object" || data === null) return "";
  const message = "message" in data && typeof data.message === "string" ? data.message : "";
  const errors = "errors" in data && Array.isArray(data.errors) ? data.errors : [];
  const more = errors.flatMap((each: unknown) => {
    if (typeof each === "string") return [each];
    if (typeof each !== "object" || each === null) return [];
    if ("message" in each && typeof each.message === "string") return [each.message];
    return "field" in each && "code" in each ? [`${each.field}: ${each.code}`] : [];
  });
  return [message, ...more.slice(0, 5)].filter((text) => text !== "").join(": ");
}
