import type { SandboxLimits } from "./environment.ts";
import type { SandboxId, TaskId } from "./ids.ts";

/** What a container engine is asked to run. Nothing in it is secret: an engine shows it to whoever inspects. */
export interface SandboxSpec {
  id: SandboxId;
  taskId: TaskId;
  /** An image that the engine holds, as the engine names it. */
  image: string;
  limits: SandboxLimits;
  /** Folder on this machine that holds the door's socket; it appears in the sandbox read-only. */
  doorFolder: string;
  /** Bare repositories on this machine, in the order of the task's repositories; they appear read-only. */
  objectFolders: readonly string[];
}

export interface SandboxExit {
  exitCode: number;
  /** In words: "ran out of memory (limit 512 MiB)", "was killed", "ended with exit code 1". */
  reason: string;
}

export interface SandboxStatus {
  id: SandboxId;
  taskId: TaskId;
  /** `stopping` for good where Podman's service died in the middle of a stop: its processes may run on. */
  condition: "running" | "stopping" | "stopped";
}

/** A container engine, as far as a task's life needs it. Every verb may be repeated without harm. */
export interface SandboxEngine {
  /** Creates and starts. Rejects with `unavailable` (engine down) or `not_found` (no such image). */
  start(spec: SandboxSpec): Promise<void>;
  /** Starts one again that was stopped or died: its files are as they were. `not_found` where it is gone. */
  restart(id: SandboxId): Promise<void>;
  /** Stops it and keeps its files; the guest has some seconds to end. One that is stopped or gone is success. */
  stop(id: SandboxId): Promise<void>;
  /** Resolves when the sandbox has ended or is gone; rejects only when the engine cannot be asked. */
  wait(id: SandboxId, signal: AbortSignal): Promise<SandboxExit>;
  /** Ends and removes; a sandbox that is gone already is success. */
  remove(id: SandboxId): Promise<void>;
  /** The sandboxes of this appliance, found by label. */
  list(): Promise<SandboxStatus[]>;
  /** The end of what the guest printed, for the reason of a failure. */
  tail(id: SandboxId, bytes: number): Promise<string>;
  /** The engine's name for an environment's image: a built-in recipe's current tag, or the reference as it is. */
  resolveImage(image: string): Promise<string>;
  /** `podman 4.3.1` or `docker 20.10.24`. */
  describe(): Promise<string>;
}
