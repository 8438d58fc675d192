import { setTimeout as sleep } from "node:timers/promises";
import type { CommandResult } from "./commands.ts";

/** What git, curl and git-lfs say when the other side went away, rather than refused (http.c, remote-curl.c, curl's errors). */
const wentAway =
  /RPC failed|Recv failure|Send failure|Failed to connect|Couldn't connect|Empty reply|Connection reset|early EOF|unexpected disconnect|expected flush|returned error: (50\d|429)|connect: connection refused|: EOF$/im;

/** What the appliance says, in git's own output, of a forge that is away or has had enough for now (git-upstream-faults.ts). */
const forgeWentAway =
  /^fatal: remote error: .*(could not answer|too many requests|cannot be reached|broke off)|\[remote rejected\].*\(.*(has failed|limits the rate|was not reached)\)/m;

const isAway = (words: string): boolean => wentAway.test(words) || forgeWentAway.test(words);

/**
 * Runs a git command that speaks to the appliance, again and again for as long as that or the forge behind it is away:
 * either may be restarted at any moment, and the task is not to notice. What is refused is returned at once.
 */
export async function throughOutages(
  run: () => Promise<CommandResult>,
  { patienceMs = 10 * 60_000, signal }: { patienceMs?: number; signal: AbortSignal },
): Promise<CommandResult> {
  const until = Date.now() + patienceMs;
  for (let pauseMs = 250; ; pauseMs = Math.min(5000, pauseMs * 2)) {
    const result = await run();
    if (result.code === 0 || !isAway(result.output) || Date.now() + pauseMs > until) return result;
    await sleep(pauseMs, undefined, { signal });
  }
}
