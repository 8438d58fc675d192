import type { DenyCode } from "./egress.ts";
import type { AccessLevel } from "./environment.ts";
import type { Host } from "./host.ts";

/** Compiled from an environment and its task's grants by `compileEgressPolicy`; opaque to everyone but this file. */
export interface EgressPolicy {
  readonly access: AccessLevel;
}

export type EgressDecision =
  | {
      allowed: true;
      /** The rule that let it, in words a person can find again: `registry.npmjs.org (default list)`. */
      rule: string;
      /**
       * `pass`: TLS goes through unread, SNI checked. `inspect`: the appliance ends TLS and reads each request.
       * `raw`: any protocol, unread.
       */
      treatment: "pass" | "inspect" | "raw";
      /** The grant that let it is good for this one connection: take it. */
      once: boolean;
    }
  | {
      allowed: false;
      code: DenyCode;
      /** A sentence without a full stop at the end: `evil.example is not on this environment's list`. */
      text: string;
      /** Whether a person may lift it for this host and port. */
      grantable: boolean;
    };

/** May a connection to this host and port be made at all? Judged before any lookup. */
export function decideConnection(_policy: EgressPolicy, host: Host, _port: number): EgressDecision {
  return { allowed: false, code: "host-not-allowed", text: host.text, grantable: true };
}

export interface EgressRequest {
  host: Host;
  port: number;
  method: string;
  /** Path and query as sent, beginning with `/`. */
  target: string;
  /** Lower-case name and value of each header. */
  headers: readonly (readonly [string, string])[];
}

/** May this request, which the appliance can read, be sent? Includes what `decideConnection` says. */
export function decideRequest(policy: EgressPolicy, { host, port }: EgressRequest): EgressDecision {
  return decideConnection(policy, host, port);
}
