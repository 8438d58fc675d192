import { dlopen, FFIType } from "bun:ffi";
import { messageOf } from "../domain/errors.ts";
import { listProcesses, type Processes } from "./processes.ts";

/** Enough for a burst of children to end as one; zombies cost an entry in the process table and nothing else. */
const quietMs = 200;
const timerMs = 5000;

/**
 * Takes the exit status of orphans, which the kernel hands to process 1 and which the runtime knows nothing of.
 * Without it a sandbox whose agent leaves processes behind runs into its pid limit. Does nothing but as process 1;
 * `always` is for a test that makes itself the reaper of its descendants, prctl(2) PR_SET_CHILD_SUBREAPER.
 */
export function startReaper(
  processes: Processes,
  report: (line: string) => void,
  always = false,
): { close(): void } {
  if (process.pid !== 1 && !always) return { close() {} };
  const wait = openWait(report);
  if (wait === undefined) return { close() {} };

  const reap = () => {
    for (const { pid, parent, state } of listProcesses()) {
      if (state === "Z" && parent === process.pid && !processes.owns(pid)) wait(pid);
    }
  };
  let quiet: ReturnType<typeof setTimeout> | undefined;
  const onChild = () => {
    quiet ??= setTimeout(() => {
      quiet = undefined;
      reap();
    }, quietMs);
  };
  process.on("SIGCHLD", onChild);
  const timer = setInterval(reap, timerMs);
  return {
    close() {
      process.off("SIGCHLD", onChild);
      clearInterval(timer);
      clearTimeout(quiet);
    },
  };
}

const waitNoHang = 1;

function openWait(report: (line: string) => void): ((pid: number) => void) | undefined {
  try {
    const { symbols } = dlopen("libc.so.6", {
      waitpid: { args: [FFIType.i32, FFIType.ptr, FFIType.i32], returns: FFIType.i32 },
    });
    return (pid) => {
      symbols.waitpid(pid, null, waitNoHang);
    };
  } catch (thrown) {
    report(`orphaned processes will not be reaped: ${messageOf(thrown)}`);
    return undefined;
  }
}
