import type { Agents } from "../domain/agents.ts";
import type { CcwError } from "../domain/errors.ts";
import type { IdSource } from "../domain/ids.ts";
import type { DoorKeeper, Log, RepositoryHost } from "../domain/ports.ts";
import type { SandboxEngine } from "../domain/sandbox.ts";
import type { Store } from "../domain/store.ts";

/** What running a task needs of the house. */
export interface RunContext {
  store: Store;
  engine: SandboxEngine;
  doors: DoorKeeper;
  host: Pick<RepositoryHost, "objectsOf" | "isHere">;
  log: Log;
  ids: IdSource;
  agents: Agents;
  /** How long a task without work keeps its sandbox awake, and how long a question waits for a person (ms). */
  idleMs: number;
  questionMs: number;
}

/**
 * `rests`: the task is active no longer, and its sandbox sleeps. `left`: the signal aborted, and the sandbox lives on.
 * `no engine`, `no repository`: it cannot be started for now; the first is true of every task, the second of those with
 * the same repositories.
 */
export type RunResult =
  | { kind: "rests" }
  | { kind: "left" }
  | { kind: "no engine"; cause: CcwError }
  | { kind: "no repository"; cause: CcwError };

export type NotNow = Exclude<RunResult, { kind: "rests" }>;
