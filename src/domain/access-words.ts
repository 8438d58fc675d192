import type { AccessDecision, AccessState } from "./access-request.ts";
import { bracketed } from "./host.ts";

/** Requests for access as page and terminal put them into words. */

/** `host:port`, an IPv6 address in brackets. */
export function authorityText({ host, port }: { host: string; port: number }): string {
  return `${bracketed(host)}:${port}`;
}

const reasons: Readonly<Record<string, string>> = {
  "host-not-allowed": "not on the allowlist",
  "host-denied": "on the deny list",
  "port-not-allowed": "this port is not allowed",
  "method-not-allowed": "this method is not allowed",
  "path-not-allowed": "this path is not allowed",
  "read-only": "only reading is allowed there",
};

/** A `DenyCode` in a few words. */
export function reasonInWords(code: string): string {
  return reasons[code] ?? code.replaceAll("-", " ");
}

/** How far a grant reaches. */
export const scopeInWords: Record<Exclude<AccessDecision, "deny">, string> = {
  once: "for one connection",
  task: "for this task",
  environment: "for the environment",
};

/** What became of a request, and who decided it; undefined while it waits for somebody. */
export function decisionInWords(request: {
  state: AccessState["kind"];
  scope?: keyof typeof scopeInWords | undefined;
  person?: string | undefined;
}): string | undefined {
  const { scope, person = "Somebody" } = request;
  switch (request.state) {
    case "pending":
      return undefined;
    case "expired":
      return "Nobody decided before the task ended";
    case "denied":
      return `${person} denied it`;
    case "granted-once":
      return `${person} allowed it for one connection, not used yet`;
    case "used":
      return `${person} allowed it for one connection, which is over`;
    case "granted":
      return `${person} allowed it ${scope === undefined ? "" : scopeInWords[scope]}`.trimEnd();
  }
}
