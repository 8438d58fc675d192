import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http";
import type { ModelEndpoint } from "../../domain/model.ts";

/**
 * Headers are rebuilt from these lists and never copied whole: what is not named here does not pass, in either
 * direction. So no hop-by-hop header, no cookie, no second credential and no forged `X-Forwarded-For` does.
 */
const inward = new Set([
  "accept",
  "anthropic-beta",
  "anthropic-dangerous-direct-browser-access",
  "anthropic-version",
  "content-type",
  "openai-beta",
  "originator",
  "session-id",
  "thread-id",
  "user-agent",
  "x-app",
  "x-claude-code-session-id",
  "x-client-request-id",
]);
const inwardPattern = /^x-(stainless|codex|openai-internal-codex)-[a-z-]{1,40}$/;

const outward = new Set([
  "content-type",
  "request-id",
  "x-request-id",
  "retry-after",
  "retry-after-ms",
  "x-should-retry",
]);
const outwardPattern = /^(anthropic|x)-ratelimit-[a-z0-9-]{1,80}$/;

const longestValue = 4096;

/**
 * What goes to the endpoint, with the real credential. The length is passed on only where the body's end is told by
 * it alone; with both length and chunks the two sides could disagree on where a request ends.
 */
export function requestHeaders(given: IncomingHttpHeaders, endpoint: ModelEndpoint): OutgoingHttpHeaders {
  const headers = picked(given, (name) => inward.has(name) || inwardPattern.test(name));
  headers[endpoint.credential.header] = endpoint.credential.value;
  // The meter reads the answer as it passes.
  headers["accept-encoding"] = "identity";
  if (given["transfer-encoding"] === undefined) headers["content-length"] = given["content-length"] ?? "0";
  return headers;
}

/** What goes back to the sandbox; `mask` takes the credential out of a value that repeats it. */
export function responseHeaders(
  given: IncomingHttpHeaders,
  mask: (text: string) => string,
): OutgoingHttpHeaders {
  const headers = picked(given, (name) => outward.has(name) || outwardPattern.test(name));
  for (const [name, value] of Object.entries(headers)) headers[name] = mask(String(value));
  if (given["transfer-encoding"] === undefined && given["content-length"] !== undefined) {
    headers["content-length"] = given["content-length"];
  }
  return headers;
}

/** The credentials that the sandbox presents. Every one has to be its own scoped token. */
export function presentedTokens(given: IncomingHttpHeaders): string[] {
  const tokens: string[] = [];
  if (given["x-api-key"] !== undefined) tokens.push(String(given["x-api-key"]));
  if (given.authorization !== undefined) {
    tokens.push(/^Bearer +(\S+)$/i.exec(given.authorization)?.[1] ?? "");
  }
  return tokens;
}

function picked(given: IncomingHttpHeaders, passes: (name: string) => boolean): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = {};
  for (const [name, value] of Object.entries(given)) {
    if (typeof value === "string" && value.length <= longestValue && passes(name)) headers[name] = value;
  }
  return headers;
}
