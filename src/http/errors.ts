import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { CcwError, type ErrorCode, messageOf } from "../domain/errors.ts";
import type { Log } from "../domain/ports.ts";

/** The one place that maps a code to an HTTP status. */
const statuses: Record<ErrorCode, ContentfulStatusCode> = {
  invalid: 400,
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  conflict: 409,
  too_large: 413,
  rate_limited: 429,
  unavailable: 503,
  no_space: 507,
};

export interface ErrorBody {
  error: { code: ErrorCode | "internal"; message: string; hint: string };
}

export function errorResponse(context: Context, thrown: unknown, log: Log): Response {
  if (thrown instanceof CcwError) {
    const { code, message, hint } = thrown;
    return context.json<ErrorBody>({ error: { code, message, hint } }, statuses[code]);
  }
  // What Hono itself refuses: a body that is not JSON, say.
  if (thrown instanceof HTTPException && thrown.status < 500) {
    return context.json<ErrorBody>(
      { error: { code: "invalid", message: thrown.message, hint: "" } },
      thrown.status,
    );
  }
  log.error("a request failed", {
    method: context.req.method,
    path: context.req.path,
    reason: messageOf(thrown),
    stack: thrown instanceof Error ? (thrown.stack ?? "") : "",
  });
  return context.json<ErrorBody>(
    { error: { code: "internal", message: "Internal error.", hint: "The server's log says what happened." } },
    500,
  );
}
