import type { IncomingHttpHeaders } from "node:http";
import { CcwError, messageOf } from "../domain/errors.ts";
import type { GitAnswer, GitCall, GitEndpoint } from "../domain/git-server.ts";
import { dropped, faultAnswer } from "./git-answers.ts";
import { type GuardOptions, guarded } from "./git-upstream-guard.ts";
import { boundedRequest } from "./request-body.ts";
import type { UpstreamHttp } from "./upstream-http.ts";

/**
 * A server's repositories as they are: its own answers, whatever they say, to requests with the client's own
 * credential. For conformance runs of git clients, and for nothing that needs a credential of the appliance.
 */
export function relayEndpoint(
  options: GuardOptions & {
    http: UpstreamHttp;
    /** The server, and the path that stands before each repository's; no slash at the end. */
    upstream: string;
    /** The repository's path, beginning with `/`, as the client wrote it. */
    path: string;
    /** The client's own. */
    headers: IncomingHttpHeaders;
  },
): GitEndpoint {
  const { http, upstream, path, headers } = options;

  async function ask(call: GitCall): Promise<GitAnswer> {
    const request = call.body === undefined ? `info/refs?service=${call.service}` : call.service;
    try {
      const response = await http.send({
        url: new URL(`${upstream}${path}/${request}`),
        method: call.body === undefined ? "GET" : "POST",
        headers: { ...endToEnd(headers), ...ownHeaders(call) },
        body: boundedRequest(call),
        signal: call.signal,
      });
      return {
        status: response.status,
        headers: { "content-type": response.headers["content-type"] ?? "application/octet-stream" },
        fields: fieldsOf(response.rawHeaders, upstream),
        body: response.body,
      };
    } catch (thrown) {
      if (!(thrown instanceof CcwError)) throw thrown;
      await dropped(call.push?.pack ?? call.body);
      const malformed = thrown.code === "invalid" || thrown.code === "too_large";
      const status = { invalid: 400, too_large: 413 }[thrown.code as string] ?? 502;
      return faultAnswer(call, { status, malformed, reason: messageOf(thrown), lines: [thrown.message] });
    }
  }
  return guarded(ask, path, options);
}

/** RFC 9110, 7.6.1, and those that this relay writes itself. */
const notPassed =
  /^(connection|keep-alive|te|trailer|transfer-encoding|upgrade|proxy-.*|host|expect|content-length|content-type|content-encoding|git-protocol)$/i;

export function endToEnd(headers: IncomingHttpHeaders): Record<string, string> {
  const named = new Set((headers.connection ?? "").toLowerCase().split(/[ ,]+/));
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      notPassed.test(name) || named.has(name) || value === undefined ? [] : [[name, String(value)]],
    ),
  );
}

/** Of this request: the relay asks the server on its own account, too. */
function ownHeaders({ body, headers, contentLength }: GitCall): Record<string, string> {
  const own = {
    "git-protocol": headers.gitProtocol,
    "accept-encoding": headers.acceptEncoding ?? "identity",
    "content-type": body && headers.contentType,
    "content-encoding": body && headers.contentEncoding,
    "content-length": body && contentLength?.toString(),
  };
  return Object.fromEntries(
    Object.entries(own).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}

export function fieldsOf(rawHeaders: readonly string[], upstream: string): [string, string][] {
  const fields: [string, string][] = [];
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const [name = "", value = ""] = rawHeaders.slice(at, at + 2);
    if (/^(content-length|content-encoding)$/i.test(name)) fields.push([name, value]);
    else if (/^location$/i.test(name)) fields.push([name, locationOf(value, upstream)]);
    else if (!notPassed.test(name)) fields.push([name, value]);
  }
  return fields;
}

/** What the server says of itself is true of the relay; elsewhere the client goes by its own rules. */
function locationOf(location: string, upstream: string): string {
  return location.startsWith(`${upstream}/`) ? location.slice(upstream.length) : location;
}
