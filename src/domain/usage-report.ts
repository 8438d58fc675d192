import { usdText } from "./amounts.ts";
import { csvText } from "./csv.ts";
import type { UsageBy, UsageSum, UsageTotals } from "./store/usage.ts";

/** Usage as it goes over the wire and into files. Tokens are of each kind by itself. */
export interface UsageFigures {
  requests: number;
  inputTokens: number;
  outputTokens: number;
  cacheReadTokens: number;
  /** Kept for five minutes. */
  cacheWrite5mTokens: number;
  cacheWrite1hTokens: number;
  webSearches: number;
  /** US dollars, without the requests that had no price. */
  costUsd: number;
  unpricedRequests: number;
}

export interface UsageRow extends UsageFigures {
  key: string;
  name: string;
}

export function figuresOf(totals: UsageTotals): UsageFigures {
  // A request that says more for an hour than in all cannot have written less than nothing for five minutes.
  const hour = Math.min(totals.cacheWriteHourTokens, totals.cacheWriteTokens);
  return {
    requests: totals.requests,
    inputTokens: totals.inputTokens,
    outputTokens: totals.outputTokens,
    cacheReadTokens: totals.cacheReadTokens,
    cacheWrite5mTokens: totals.cacheWriteTokens - hour,
    cacheWrite1hTokens: hour,
    webSearches: totals.webSearches,
    costUsd: totals.costNano / 1e9,
    unpricedRequests: totals.unpriced,
  };
}

export function rowOf({ key, name, ...totals }: UsageSum): UsageRow {
  return { key, name, ...figuresOf(totals) };
}

/** One line for each row under a line of names; money in US dollars to the nano-dollar. */
export function usageCsv(by: UsageBy, rows: readonly UsageRow[]): string {
  const named = by === "task" || by === "person";
  const head = [
    ...(named ? [by, by === "task" ? "title" : "name"] : [by]),
    ...["requests", "input_tokens", "output_tokens", "cache_read_tokens"],
    ...["cache_write_5m_tokens", "cache_write_1h_tokens", "web_searches", "cost_usd", "unpriced_requests"],
  ];
  return csvText([
    head,
    ...rows.map((row) => [
      ...(named ? [row.key, row.name] : [row.key]),
      ...[row.requests, row.inputTokens, row.outputTokens, row.cacheReadTokens],
      ...[row.cacheWrite5mTokens, row.cacheWrite1hTokens, row.webSearches],
      row.costUsd.toFixed(9),
      row.unpricedRequests,
    ]),
  ]);
}

/** What a request cost in words: never 0 for what had no price. `costUsd` in US dollars. */
export function costText(costUsd: number, unpricedRequests: number): string {
  const money = usdText(Math.round(costUsd * 1e9));
  if (unpricedRequests === 0) return money;
  return costUsd === 0 ? "no price" : `${money} and ${unpricedRequests} without a price`;
}
