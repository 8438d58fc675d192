import type { GitService } from "../domain/git-server.ts";
import type { Fault } from "./git-answers.ts";

/** What a forge's answer means when it is not git's, for a person in front of a git client. */

export interface Asked {
  /** `github.com/acme/widget`. */
  name: string;
  host: string;
  /** As the operator calls it. */
  forge: string;
  service: GitService;
}

const operator = (forge: string) => `The operator looks with: ccw-server forge test ${forge}`;

export function statusFault(asked: Asked, status: number, retryAfter: string | undefined): Fault {
  const { name, host, forge, service } = asked;
  const fault = (answered: number, reason: string, ...lines: string[]): Fault => ({
    ...{ status: answered, reason, lines },
  });
  switch (status) {
    case 401:
      // Not passed on as 401: git would ask the agent for a password.
      return fault(
        403,
        `${host} does not accept the appliance's credential`,
        `${host} does not accept the appliance's credential for ${name} (401): it may have expired or been revoked.`,
        operator(forge),
      );
    case 403:
      return fault(
        403,
        `${host} forbids it`,
        `${host} does not let the appliance ${service === "git-upload-pack" ? "read" : "push to"} ${name} (403).`,
        operator(forge),
      );
    case 404:
    case 410:
      return fault(
        404,
        `${host} does not have it`,
        `${host} has no repository ${name}, or does not show it to the appliance (${status}).`,
        "It may have been renamed, removed or made private meanwhile.",
      );
    case 413:
      return fault(413, "too large for the forge", `${host} does not take a push of this size (413).`);
    case 429: {
      const wait = retryAfter === undefined ? "in a few minutes" : `in ${waitText(retryAfter)}`;
      return {
        ...fault(
          429,
          `${host} limits the rate`,
          `${host} has had too many requests (429). Try again ${wait}.`,
        ),
        retryAfter,
      };
    }
    default:
      return status >= 500
        ? {
            ...fault(
              status === 503 ? 503 : 502,
              `${host} has failed`,
              `${host} could not answer (${status}). Nothing was changed here; try again later.`,
            ),
            retryAfter,
          }
        : fault(
            502,
            `${host} answered ${status}`,
            `${host} answered with ${status}, which git does not expect.`,
          );
  }
}

export function notGitFault(asked: Asked, contentType: string): Fault {
  const shown = /^[\w.+/-]{1,100}/.exec(contentType)?.[0] ?? "nothing known";
  return {
    status: 502,
    reason: `${asked.host} did not answer as a git server`,
    lines: [
      `${asked.host} did not answer as git's smart HTTP protocol has it, but with ${shown}:`,
      "a page to sign in, perhaps, or a server that speaks the old protocol alone.",
      operator(asked.forge),
    ],
  };
}

export function redirectFault(asked: Asked, target: URL | undefined): Fault {
  const to = target === undefined ? "somewhere" : target.origin;
  return {
    status: 502,
    reason: `${asked.host} sends on to ${to}`,
    lines: [
      `${asked.host} sends requests for ${asked.name} on to ${to}, where the appliance does not follow.`,
      "If the repository has moved, the operator removes it and adds it again under its new address.",
    ],
  };
}

/** RFC 9110, 10.2.3: seconds, or a date. */
function waitText(retryAfter: string): string {
  return /^\d{1,6}$/.test(retryAfter) ? `${retryAfter} s` : `a while (after ${retryAfter})`;
}
