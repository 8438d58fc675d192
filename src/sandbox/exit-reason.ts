import { closeSync, constants, openSync, readSync } from "node:fs";
import type { SandboxExit } from "../domain/sandbox.ts";

/** What is known about the end of a sandbox's first process. */
export interface ExitFacts {
  exitCode: number;
  outOfMemory: boolean;
  /** Bytes; 0 when unknown. */
  memoryLimit: number;
  /** What the engine says when it could not run the process at all. */
  engineError: string;
}

export function exitOf(facts: ExitFacts): SandboxExit {
  return { exitCode: facts.exitCode, reason: reasonOf(facts) };
}

/**
 * Whether the kernel's log holds a kill for want of memory in this container. Podman 4 does not report one under
 * cgroup v1, and the container's own counters go with it; the kernel names the memory cgroup, and that ends with
 * the container's full id (`oom-kill:…,oom_memcg=/libpod_parent/libpod-<id>,…`). False where the log may not be
 * read, as for a user who is not root.
 */
export function kernelKilledForMemory(containerId: string): boolean {
  let log: number;
  try {
    log = openSync("/dev/kmsg", constants.O_RDONLY | constants.O_NONBLOCK);
  } catch {
    return false;
  }
  const record = Buffer.alloc(8192);
  try {
    // One read is one record; the log is a ring of bounded size, so the count only guards against a flood.
    for (let records = 0; records < 100_000; records++) {
      let length: number;
      try {
        length = readSync(log, record);
      } catch (thrown) {
        if (isOverwritten(thrown)) continue;
        return false; // EAGAIN: the end of the log
      }
      const line = record.toString("latin1", 0, length);
      if (line.includes("oom-kill:") && line.includes(containerId)) return true;
    }
    return false;
  } finally {
    closeSync(log);
  }
}

/** EPIPE: the record was overwritten before it was read; the next read goes on after the gap. */
function isOverwritten(thrown: unknown): boolean {
  return thrown instanceof Error && "code" in thrown && thrown.code === "EPIPE";
}

function reasonOf({ exitCode, outOfMemory, memoryLimit, engineError }: ExitFacts): string {
  if (outOfMemory) {
    const limit = memoryLimit > 0 ? ` (limit ${Math.round(memoryLimit / 1024 ** 2)} MiB)` : "";
    return `ran out of memory${limit}`;
  }
  if (engineError !== "") return `could not be run: ${engineError}`;
  if (exitCode === 137) return "was killed";
  if (exitCode === 143) return "was stopped";
  if (exitCode > 128 && exitCode <= 128 + 64) return `was ended by signal ${exitCode - 128}`;
  return `ended with exit code ${exitCode}`;
}
