import type { ErrorCode } from "../domain/errors.ts";

/** What the exit code of a command says. The help of `ccw-server` prints this table. */
export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  notFound: 3,
  conflict: 4,
  denied: 5,
  cancelled: 6,
  paused: 7,
  /** From sysexits.h on. */
  unavailable: 69,
  internal: 70,
  noSpace: 74,
  rateLimited: 75,
  /** 128 and the number of SIGINT, as shells count. */
  interrupted: 130,
} as const;

/** The one place that maps an error's code to an exit code. */
export const exitCodeOf: Record<ErrorCode, number> = {
  invalid: exitCodes.usage,
  too_large: exitCodes.usage,
  not_found: exitCodes.notFound,
  conflict: exitCodes.conflict,
  unauthenticated: exitCodes.denied,
  forbidden: exitCodes.denied,
  unavailable: exitCodes.unavailable,
  no_space: exitCodes.noSpace,
  rate_limited: exitCodes.rateLimited,
};

export const exitCodeHelp = `Exit codes:
  0   done; a followed task has nothing left to do
  1   a followed task failed, a check of doctor did, or \`egress check\` says refused
  2   the command cannot mean anything: wrong arguments, or input that is refused
  3   there is no such task, repository, environment, …
  4   not possible in this state
  5   not signed in, or not allowed
  6   a followed task was cancelled
  7   a followed task is paused, or waits for a person's word after an interruption
  69  no server answers    70  internal error    74  disk full    75  too many requests
`;
