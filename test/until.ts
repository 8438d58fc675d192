/**
 * Waiting in tests: for what has to come, far longer than the busiest machine takes, since patience costs nothing where a
 * test passes. Never for a time by the clock after which something "will have" happened.
 */
const patienceMs = 240_000;

/** The first value that is neither undefined nor false; fails after a long while. */
export async function until<Value>(
  what: string,
  probe: () => Value | undefined | false | Promise<Value | undefined | false>,
): Promise<Value> {
  for (const end = performance.now() + patienceMs; performance.now() < end; await Bun.sleep(5)) {
    const value = await probe();
    if (value !== undefined && value !== false) return value;
  }
  throw new Error(`did not happen within ${patienceMs / 1000} s: ${what}`);
}

/**
 * Waits until a figure stays what it is, over many rounds of the event loop: within one process a machine that stands still
 * in between is not taken for the end of what happens.
 */
export async function settled(figure: () => number): Promise<number> {
  let last = figure();
  for (let rounds = 0; rounds < 10; rounds++) {
    await Bun.sleep(20);
    const now = figure();
    if (now !== last) rounds = 0;
    last = now;
  }
  return last;
}
