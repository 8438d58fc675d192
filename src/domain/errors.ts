/**
 * Expected failures. One error type with a closed list of codes; `http/errors.ts` maps a code to a status and
 * `cli/exit-codes.ts` to an exit code. Anything else that is thrown is a defect: logged whole, shown as
 * "internal error".
 */
export const errorCodes = [
  "invalid", // the request cannot mean anything; change it
  "not_found",
  "conflict", // true in itself, but not in this state
  "unauthenticated",
  "forbidden",
  "too_large",
  "rate_limited",
  "unavailable", // a part we need does not answer; try again
  "no_space",
] as const;
export type ErrorCode = (typeof errorCodes)[number];

export class CcwError extends Error {
  readonly code: ErrorCode;
  /** What to do next, as a sentence; empty where the message says it all. */
  readonly hint: string;

  constructor(code: ErrorCode, message: string, hint = "", options?: { cause?: unknown }) {
    super(message, options);
    this.name = "CcwError";
    this.code = code;
    this.hint = hint;
  }
}

/** The words of anything that was thrown, for a log line or a message: never a stack trace. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
