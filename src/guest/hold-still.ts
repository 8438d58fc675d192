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
  // Parents first: one that waits for its child to begin cannot stop before that. And twice, since what was started while
  // the others came to a stop is there when all of them have.
  for (let quiet = 0; quiet < 2 && performance.now() < end; ) {
    const running = [root, ...descendantsOf(root)].find((pid) => !isStopped(pid));
    quiet = running === undefined ? quiet + 1 : 0;
    if (running === undefined) continue;
    if (!held.has(running)) sendSignal(running, "SIGSTOP");
    held.add(running);
    await Bun.sleep(1);
  }
  return letGo;
}

/** In all of its threads; what is gone is still. */
function isStopped(pid: number): boolean {
  const stillIn = (thread: string) => {
    try {
      return "TtZX".includes(readStat(`/proc/${pid}/task/${thread}/stat`).state);
    } catch {
      return true;
    }
  };
  try {
    return readdirSync(`/proc/${pid}/task`).every(stillIn);
  } catch {
    return true;
  }
}
