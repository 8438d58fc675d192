import { defaultGroups } from "./default-allowlist.ts";
import type { EgressRule } from "./egress-rule.ts";
import { type Host, hostText } from "./host.ts";
import { crossesOwners, indexPatterns } from "./host-pattern.ts";
import {
  credentialIn,
  isPathBelow,
  isReadingMethod,
  methodOverride,
  type RequestHead,
  whyNotReading,
} from "./request-reading.ts";

/** A rule in force, with its source. */
export interface Permit {
  rule: EgressRule;
  /** In words a person can find again. */
  label: string;
  once: boolean;
}

/** In the order in which a permit looks at a request. */
export const faultCodes = [
  "path-not-allowed",
  "method-not-allowed",
  "read-only",
  "foreign-credential",
] as const;

export interface PermitFault {
  code: (typeof faultCodes)[number];
  /** As the `text` of a refusal. */
  text: string;
}

/** Whether the host is one where anybody may publish, or a rule says to look into it. */
export function isGuarded(host: Host, permits: readonly Permit[]): boolean {
  return isMarked(host) || permits.some(({ rule }) => rule.tls === "inspect");
}

/** A rule that permits less than everything: its requests have to be read. */
export function isNarrow(permit: Permit, host: Host): boolean {
  return permit.rule.methods !== undefined || permit.rule.path !== undefined || isShared(permit, host);
}

/**
 * Why this permit does not let the request; undefined where it does. `guarded`: what `isGuarded` says of the host with
 * all the permits that are about it.
 */
export function faultOf(
  permit: Permit,
  host: Host,
  request: RequestHead,
  guarded: boolean,
): PermitFault | undefined {
  const { method, target } = request;
  const { methods, path, write } = permit.rule;
  const shown = hostText(host);
  if (path !== undefined && !isPathBelow(path, target)) {
    return {
      code: "path-not-allowed",
      text: `of ${shown} only ${path} and what lies below it may be reached`,
    };
  }
  if (methods !== undefined) {
    const other = methods.includes(method) ? methodOverride(request) : `${method} is not among them`;
    if (other !== undefined) {
      return {
        code: "method-not-allowed",
        text: `to ${shown} only ${methods.join(", ")} may be sent: ${other}`,
      };
    }
  }
  const publishing = isMarked(host) || isShared(permit, host);
  const careful = guarded || isNarrow(permit, host);
  // Where anybody can publish it takes the word: `* methods=GET,POST` is meant to narrow.
  const namesWriting = methods !== undefined && !isReadingMethod(method) && !publishing;
  if (careful && !write && !namesWriting) {
    const why = whyNotReading(request);
    if (why !== undefined) {
      return {
        code: "read-only",
        text: `${shown} may only be read from unless a rule of the environment says write, and ${why}`,
      };
    }
  }
  if (publishing || (careful && !write)) {
    const where = credentialIn(request, listed.matches(host)[0]?.pullTokens === true);
    if (where !== undefined) {
      return {
        code: "foreign-credential",
        text: `${shown} takes no credential out of a sandbox, and ${where} holds one; the appliance adds those that the environment has`,
      };
    }
  }
  return undefined;
}

/** The most specific entry of the default list decides, in every access level. */
function isMarked(host: Host): boolean {
  return listed.matches(host)[0]?.inspect === true;
}

/** A wildcard that takes in names of strangers: looked into as if each were marked. */
function isShared({ rule }: Permit, host: Host): boolean {
  return rule.host.kind === "wildcard" && crossesOwners(rule.host.base, host.text);
}

/** Marks hold whichever groups are on. */
const listed = indexPatterns(
  defaultGroups.flatMap(({ hosts }) => hosts).map((entry) => [entry.pattern, entry] as const),
);
