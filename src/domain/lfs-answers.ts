import { CcwError, type ErrorCode } from "./errors.ts";
import type { GitAnswer } from "./git-server.ts";
import {
  judgeLfs,
  type LfsCaller,
  type LfsEndpoint,
  type LfsHttpRequest,
  lfsMethodsOf,
  readLfsCall,
} from "./lfs.ts";
import { plainLine } from "./plain-text.ts";

/** Reads, judges and answers one request. Expected failures become errors that a client of LFS shows to a person. */
export async function answerLfs(exchange: {
  http: LfsHttpRequest;
  caller: LfsCaller;
  /** Undefined where the repository has no LFS. */
  endpoint: LfsEndpoint | undefined;
  /** Called for what the right does not allow. */
  refused(ref: string, reason: string): void;
}): Promise<GitAnswer> {
  const { http, caller, endpoint, refused } = exchange;
  const methods = lfsMethodsOf(http.request);
  if (!methods.includes(http.method)) {
    const answer = lfsError(405, `Only ${methods.join(" and ")} is understood here.`);
    return { ...answer, headers: { ...answer.headers, allow: methods.join(", ") } };
  }
  if (endpoint === undefined) return lfsError(404, "This repository has no LFS here.");
  try {
    const call = await readLfsCall(http);
    const verdict = judgeLfs(call, caller.right);
    if (verdict.kind === "allowed") return await endpoint.serve(call, caller);
    refused(plainLine(verdict.ref).slice(0, 200), verdict.reason);
    return lfsError(403, `Refused: ${verdict.ref}: ${verdict.reason}.`);
  } catch (thrown) {
    if (!(thrown instanceof CcwError)) throw thrown;
    return lfsError(statuses[thrown.code], `${thrown.message} ${thrown.hint}`);
  }
}

const statuses: Record<ErrorCode, number> = {
  invalid: 422,
  not_found: 404,
  conflict: 409,
  // A 401 would have the client ask the agent for a password.
  unauthenticated: 403,
  forbidden: 403,
  too_large: 413,
  rate_limited: 429,
  unavailable: 502,
  no_space: 507,
};

/** docs/api/batch.md, "Response Errors". */
export function lfsError(status: number, message: string, retryAfter?: string): GitAnswer {
  const answer = lfsJson(status, { message: plainLine(message).slice(0, 1000) });
  if (retryAfter === undefined || !/^[\w ,:+-]{1,40}$/.test(retryAfter)) return answer;
  return { ...answer, headers: { ...answer.headers, "retry-after": retryAfter } };
}

export function lfsJson(status: number, value: unknown): GitAnswer {
  const bytes = new TextEncoder().encode(JSON.stringify(value));
  return {
    status,
    headers: {
      "content-type": "application/vnd.git-lfs+json",
      "content-length": String(bytes.length),
      "cache-control": "no-store",
    },
    body: new Blob([bytes]).stream(),
  };
}
