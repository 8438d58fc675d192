import type { IncomingHttpHeaders } from "node:http";
import { CcwError } from "../domain/errors.ts";
import type { GitAnswer, PushRight } from "../domain/git-server.ts";
import { judgeLfs, lfsMethodsOf, type RelayedLfs, readLfsCall, readUpTo } from "../domain/lfs.ts";
import { lfsError } from "../domain/lfs-answers.ts";
import { endToEnd, fieldsOf } from "./git-relay.ts";
import type { UpstreamHttp } from "./upstream-http.ts";

/**
 * A server's own LFS as it is: its addresses untouched, so that a client goes on to them with what the server gave it.
 * Only the right is judged here.
 */
export async function relayLfs(relayed: {
  http: UpstreamHttp;
  /** The server, and the path that stands before each repository's; no slash at the end. */
  upstream: string;
  target: RelayedLfs;
  right: PushRight;
  method: string;
  /** The client's own. */
  headers: IncomingHttpHeaders;
  body: AsyncIterable<Uint8Array>;
  signal: AbortSignal;
}): Promise<GitAnswer> {
  const { http, upstream, target, right, method, headers, signal } = relayed;
  let { body } = relayed;
  if (method !== "GET" && method !== "POST" && method !== "PUT") return lfsError(405, "Not understood here.");
  try {
    if (right.kind !== "any") {
      const { request } = target;
      if (request === undefined || !lfsMethodsOf(request).includes(method)) {
        return lfsError(403, "Refused: this is no request of LFS that is known here.");
      }
      const bytes = method === "POST" ? await readUpTo(body, maxJudgedBytes) : undefined;
      if (bytes !== undefined) body = once(bytes);
      const http = { request, method, contentLength: undefined, range: undefined };
      const verdict = judgeLfs(await readLfsCall({ ...http, body: bytes ? once(bytes) : body }), right);
      if (verdict.kind === "refused") return lfsError(403, `Refused: ${verdict.ref}: ${verdict.reason}.`);
    }
    const { "content-type": type, "content-length": length } = headers;
    const response = await http.send({
      url: new URL(`${upstream}${target.path}`),
      method,
      headers: {
        ...endToEnd(headers),
        ...(type === undefined ? {} : { "content-type": type }),
        ...(length === undefined ? {} : { "content-length": length }),
      },
      body: method === "GET" ? undefined : body,
      signal,
    });
    return {
      status: response.status,
      headers: { "content-type": response.headers["content-type"] ?? "application/octet-stream" },
      fields: fieldsOf(response.rawHeaders, upstream),
      body: response.body,
    };
  } catch (thrown) {
    if (!(thrown instanceof CcwError)) throw thrown;
    const status = { invalid: 422, too_large: 413 }[thrown.code as string] ?? 502;
    return lfsError(status, `${thrown.message} ${thrown.hint}`);
  }
}

/** A batch of ten thousand objects is below that. */
const maxJudgedBytes = 2 * 1024 ** 2;

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
