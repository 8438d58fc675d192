import { pause } from "../domain/pause.ts";
import type { Log } from "../domain/ports.ts";
import type { Store } from "../domain/store.ts";
import { type Regular, regularly } from "./regularly.ts";

interface ExpiryContext {
  store: Store;
  /** 0: never. */
  keepDays: number;
  log: Log;
  now(): number;
}

const everyMs = 60 * 60_000;
const dayMs = 24 * 60 * 60_000;
/** Rows at once, and the pause behind them, in which everybody else has their turn. */
const rows = 1000;
const pauseMs = 20;

/** Removes single model requests after `keepDays`, at once and then every hour. */
export function startUsageExpiry(context: ExpiryContext): Regular {
  const failed = "model requests could not be removed; trying again";
  return regularly((signal) => expireUsage(context, signal), { everyMs, failed, log: context.log });
}

/** The sums that lists, budgets and bills read stay. */
export async function expireUsage(
  { store, keepDays, log, now }: ExpiryContext,
  signal: AbortSignal,
): Promise<void> {
  if (keepDays === 0) return;
  const before = now() - keepDays * dayMs;
  let gone = 0;
  while (!signal.aborted) {
    const count = store.usage.forget(before, rows);
    if (count === 0) break;
    gone += count;
    await pause(pauseMs, signal);
  }
  if (gone > 0) log.info("model requests have expired", { count: gone });
}
