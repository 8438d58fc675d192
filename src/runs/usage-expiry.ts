import { messageOf } from "../domain/errors.ts";
import { pause } from "../domain/pause.ts";
import type { Log } from "../domain/ports.ts";
import type { Store } from "../domain/store.ts";
import { type Regular, regularly } from "./regularly.ts";

const lookEveryMs = 60 * 60_000;
const dayMs = 24 * 60 * 60_000;
/** Rows at once, and the pause behind them, in which everybody else has their turn. */
const rows = 1000;
const pauseMs = 20;

/** Removes single model requests after `keepDays` (0: never). The sums that lists, budgets and bills read stay. */
export function createUsageExpiry(options: { store: Store; keepDays: number; log: Log; now(): number }) {
  const { store, keepDays, log, now } = options;
  const stopped = new AbortController();
  let regular: Regular | undefined;

  async function look(): Promise<void> {
    if (keepDays === 0) return;
    const before = now() - keepDays * dayMs;
    let gone = 0;
    while (!stopped.signal.aborted) {
      const count = store.usage.forget(before, rows);
      if (count === 0) break;
      gone += count;
      await pause(pauseMs, stopped.signal);
    }
    if (gone > 0) log.info("model requests have expired", { count: gone });
  }

  return {
    look,
    start(): void {
      const next = () =>
        look().catch((thrown: unknown) =>
          log.error("model requests could not be removed; trying again", { reason: messageOf(thrown) }),
        );
      regular = regularly(next, lookEveryMs);
    },
    async close(): Promise<void> {
      stopped.abort();
      await regular?.close();
    },
  };
}
