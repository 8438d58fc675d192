import type { DenyCode } from "./egress.ts";
import type { TaskId } from "./ids.ts";

/** A host that a sandbox was refused, put before a person. One a task, host and port, however often it is refused. */
export interface AccessRequest {
  id: number;
  taskId: TaskId;
  /** Canonical. */
  host: string;
  port: number;
  /** Why it was refused. */
  reason: DenyCode;
  /** How often it was refused so far. */
  count: number;
  /** Milliseconds since the epoch, as all times. */
  firstAt: number;
  lastAt: number;
  state: AccessState;
}

export type AccessState =
  | { kind: "pending" }
  | { kind: "granted"; scope: "task" | "environment"; person: string; at: number }
  /** Good for the next connection, until then or that time. */
  | { kind: "granted-once"; person: string; at: number; until: number }
  /** A grant for once that a connection has taken, or that nothing took in time. */
  | { kind: "used"; person: string; at: number }
  | { kind: "denied"; person: string; at: number }
  /**
   * Its task ended before anybody decided. It waits for nobody any more; a person may still grant it for the
   * environment, for the tasks to come.
   */
  | { kind: "expired"; at: number };

export const accessStateKinds = [
  "pending",
  "granted",
  "granted-once",
  "used",
  "denied",
  "expired",
] as const satisfies readonly AccessState["kind"][];

/** What a person may decide. */
export const accessDecisions = ["once", "task", "environment", "deny"] as const;
export type AccessDecision = (typeof accessDecisions)[number];
