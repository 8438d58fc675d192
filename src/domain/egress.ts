import type { EgressPolicy } from "./egress-policy.ts";
import type { SandboxId, TaskId } from "./ids.ts";

/**
 * What passes from a sandbox to the internet, or does not: the words that the door, the ledger, the interfaces and
 * the agent share. Which request may pass is `egress-policy.ts`; where an address lies is `ip-address.ts`.
 */

/**
 * Why a request was refused: the value of `X-Deny-Reason`, and of `reason` in the ledger. Machine-readable, and
 * never changed once published.
 */
export const denyCodes = [
  // The request cannot mean one thing (400, 405, 408, 413, 431).
  "bad-request",
  "bad-host",
  "bad-framing",
  "method-not-supported",
  "head-too-large",
  "body-too-large",
  "too-slow",
  // The policy says no (403).
  "no-egress",
  "host-not-allowed",
  "host-denied",
  "port-not-allowed",
  "method-not-allowed",
  "path-not-allowed",
  "read-only",
  "foreign-credential",
  "address-not-allowed",
  "secret-found",
  "upload-budget",
  // TLS inside a tunnel is not what was announced (connection closed, 421).
  "not-tls",
  "sni-mismatch",
  "misdirected",
  // A limit of this sandbox (429).
  "too-many-requests",
  "too-many-connections",
  "too-many-names",
  // The other side (502, 504).
  "name-not-found",
  "unreachable",
  "bad-answer",
  "timeout",
  // The policy was tightened while it ran.
  "policy-changed",
] as const;
export type DenyCode = (typeof denyCodes)[number];

/** How a connection or request went. `failed`: allowed, but the other side or the sandbox broke it off. */
export const egressVerdicts = ["allowed", "refused", "cut", "failed"] as const;
export type EgressVerdict = (typeof egressVerdicts)[number];

/** `tunnel`: TLS passed through unread; `inspected`: TLS that the appliance ended; `http`: in the clear. */
export const egressKinds = ["http", "tunnel", "inspected"] as const;

/** One line of the ledger: a request, or a tunnel that could not be looked into. */
export interface EgressEntry {
  taskId: TaskId;
  sandboxId: SandboxId;
  /** When it began, milliseconds since the epoch. */
  at: number;
  kind: (typeof egressKinds)[number];
  /** Canonical, as matched and dialled; what cannot be a host is given escaped and cut. */
  host: string;
  port: number;
  /** `CONNECT` for a tunnel. */
  method: string;
  /** Path and query with secrets blotted out; empty for a tunnel. */
  path: string;
  /** The vetted address that was dialled; empty where none was. */
  address: string;
  verdict: EgressVerdict;
  /** A `DenyCode` where it did not pass, else the rule that let it; `server-stopped` where its end was never seen. */
  reason: string;
  /** Status that the sandbox saw; 0 where it saw none. */
  status: number;
  /** Bytes that left the sandbox, and that reached it, heads included. */
  bytesUp: number;
  bytesDown: number;
  ms: number;
}

/** A value that must not leave. `name` is shown when it is found; the value never is. */
export interface Secret {
  name: string;
  value: string;
}

/** A header that the proxy adds on the way to one host; the sandbox never holds it. */
export interface InjectedCredential {
  /** Canonical host, exact. */
  host: string;
  header: string;
  value: string;
}

/** Bounds of one sandbox's traffic. */
export interface EgressLimits {
  /** Of all requests and tunnels, over the sandbox's whole life. */
  uploadBytes: number;
  /** Of one request's body. */
  requestBytes: number;
  requestsPerMinute: number;
  /** Tunnels and requests under way at once. */
  connections: number;
  /** Distinct names that wildcards or Full access let, in any minute. */
  namesPerMinute: number;
}

/** Everything that the door needs to know of one sandbox's egress; made anew when anything in it changes. */
export interface SandboxEgress {
  policy: EgressPolicy;
  limits: EgressLimits;
  secrets: readonly Secret[];
  credentials: readonly InjectedCredential[];
}

/** What a refusal tells the agent of the person's side. */
export type AccessRequestState = "asked" | "denied" | "not-asked";

export interface EgressPort {
  /** In force now; cheap, asked at each request. Undefined for a sandbox whose task has ended: nothing may pass. */
  egressOf(sandboxId: SandboxId): SandboxEgress | undefined;
  /** Bytes that the sandbox has uploaded so far, from the store: a restart does not forget them. */
  uploaded(sandboxId: SandboxId): number;
  /** Asks a person for leave; one request per task, host and port however often it is refused. */
  requestAccess(sandboxId: SandboxId, host: string, port: number, reason: DenyCode): AccessRequestState;
  /** Takes a grant that is good for one connection; false where there is none. */
  takeOnce(sandboxId: SandboxId, host: string, port: number): boolean;
  /** Shown to the person in the transcript; repeated ones are shown once. */
  notice(sandboxId: SandboxId, text: string): void;
  /** Calls back when any sandbox's egress may have changed; returns the way to stop. */
  onChange(listener: () => void): () => void;
}

/** Never throws, never waits: what it cannot keep it counts. */
export interface EgressLedger {
  /** Written down when it is decided, so that a tunnel is seen while it is open; returns the handle to close it. */
  open(entry: EgressEntry): (end: EgressEnd) => void;
  /**
   * Bytes as they leave a sandbox, for `EgressPort.uploaded`: what a tunnel has sent counts though the server be killed
   * before it ends.
   */
  sent(sandboxId: SandboxId, bytes: number): void;
}
export type EgressEnd = Pick<
  EgressEntry,
  "address" | "verdict" | "reason" | "status" | "bytesUp" | "bytesDown" | "ms"
>;

/** An entry as it is kept. Ids grow in the order in which requests began. */
export interface EgressRow extends EgressEntry {
  id: number;
  /** Under way still: what stands in it is how it began. */
  open: boolean;
}

export interface EgressFilter {
  taskId?: TaskId;
  /** Canonical, exact. */
  host?: string;
  verdict?: EgressVerdict;
  /** Began at or after this time, milliseconds since the epoch. */
  since?: number;
}

export interface EgressHostStats {
  host: string;
  requests: number;
  refused: number;
  bytesUp: number;
  bytesDown: number;
}

export interface EgressStats {
  total: Omit<EgressHostStats, "host">;
  /** The hosts with the most requests, most first. */
  hosts: EgressHostStats[];
  /** Entries of this server process that the ledger could not keep. */
  lost: number;
}
