import { readdirSync } from "node:fs";
import { descendantsOf, readStat, sendSignal } from "./processes.ts";

/** A call into the kernel is not broken off: its end is waited for, so long. */
const stopMs = 5000;

/**
 * Stops a process with all that it has started, so that its files stand still as a crash would leave them. Resolves when
 * none of it runs any more, with what lets it go on. What had been stopped before stays so.
 */
export async function holdStill(root: number): Promise<() => void> {
  const held = new Set<number>();
  const letGo = () => {
    // Children first: a shell that runs again finds none of them stopped.
    for (const pid of [...held].reverse()) sendSignal(pid, "SIGCONT");
    held.clear();
  };
  const end = performance.now() + stopMs;
  // What was started while the others came to a stop is there when all of those have.
  for (let quiet = 0; quiet < 2 && performance.now() < end; ) {
    const running = [root, ...descendantsOf(root)].filter((pid) => !isStopped(pid));
    for (const pid of running) if (!held.has(pid)) sendSignal(pid, "SIGSTOP");
    for (const pid of running) held.add(pid);
    quiet = running.length === 0 ? quiet + 1 : 0;
    if (quiet === 0) await Bun.sleep(1);
  }
  return letGo;
}

/** All of its threads, or it is gone. */
function isStopped(pid: number): boolean {
  try {
    return readdirSync(`/proc/${pid}/task`).every((thread) =>
      "TtZX".includes(readStat(`/proc/${pid}/task/${thread}/stat`).state),
    );
  } catch {
    return true;
  }
}
