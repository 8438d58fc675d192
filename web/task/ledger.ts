import { type ReadonlySignal, signal } from "@preact/signals";
import type { Client } from "../../src/client.ts";
import type { EgressVerdict } from "../../src/domain/egress.ts";
import { failureOf } from "../appliance.ts";
import type { Failure } from "../parts/hooks.ts";

export type LedgerRow = Awaited<ReturnType<typeof readLedger>>[number];
export type LedgerSums = Awaited<ReturnType<typeof readSums>>;
export interface LedgerFilter {
  verdict: "" | EgressVerdict;
  /** Exact; empty for any. */
  host: string;
}

/** A task's ledger as far as it is on the page, newest first, and its sums. */
export interface Ledger {
  /** Undefined until it has come. */
  rows: ReadonlySignal<readonly LedgerRow[] | undefined>;
  /** Whether there are older ones. */
  more: ReadonlySignal<boolean>;
  sums: ReadonlySignal<LedgerSums | undefined>;
  failure: ReadonlySignal<Failure | undefined>;
  /** Reads the newest anew: news, and what has ended since. */
  refresh(): Promise<void>;
  /** Adds up the task's whole ledger anew, which may be long. */
  refreshSums(): Promise<void>;
  /** Adds older ones. */
  older(): Promise<void>;
}

const ledgerPage = 100;

export function readTaskLedger(
  client: Client,
  task: string,
  filter: LedgerFilter,
  ended: AbortSignal,
): Ledger {
  const rows = signal<readonly LedgerRow[] | undefined>(undefined);
  const more = signal(false);
  const sums = signal<LedgerSums | undefined>(undefined);
  const failure = signal<Failure | undefined>(undefined);

  const reading = (work: () => Promise<void>) => async () => {
    try {
      await work();
      failure.value = undefined;
    } catch (thrown) {
      if (!ended.aborted) failure.value = failureOf(thrown);
    }
  };

  return {
    rows,
    more,
    sums,
    failure,
    refresh: reading(async () => {
      const before = rows.peek() ?? [];
      // The whole of what may have changed: down to the oldest that was open.
      const open = before.findLastIndex((row) => row.open) + 1;
      const limit = Math.min(1000, Math.max(ledgerPage, open));
      const news = await readLedger(client, task, filter, { limit: String(limit) });
      if (ended.aborted) return;
      // Where more came than one answer holds, the older ones are asked for again.
      const joined = withNews(rows.peek() ?? [], news, limit);
      if (joined.length === news.length) more.value = news.length === limit;
      rows.value = joined;
    }),
    refreshSums: reading(async () => {
      const read = await readSums(client, task);
      if (!ended.aborted) sums.value = read;
    }),
    older: reading(async () => {
      const last = rows.peek()?.at(-1);
      if (last === undefined) return;
      const limit = ledgerPage;
      const page = await readLedger(client, task, filter, { limit: String(limit), before: String(last.id) });
      if (ended.aborted || rows.peek()?.at(-1)?.id !== last.id) return;
      rows.value = [...(rows.peek() ?? []), ...page];
      more.value = page.length === limit;
    }),
  };
}

/** The newest `limit` entries as they are now, and below them the older ones that were known, without a gap between. */
export function withNews<Row extends { id: number }>(
  before: readonly Row[],
  news: readonly Row[],
  limit: number,
): readonly Row[] {
  const last = news.at(-1);
  if (last === undefined || news.length < limit) return news;
  const newest = before[0];
  if (newest === undefined || newest.id < last.id) return news;
  return [...news, ...before.filter(({ id }) => id < last.id)];
}

function readLedger(
  client: Client,
  task: string,
  { verdict, host }: LedgerFilter,
  page: { limit: string; before?: string },
) {
  const query = { task, ...page, ...(verdict !== "" && { verdict }), ...(host !== "" && { host }) };
  return client.read(client.api.egress.$get({ query }));
}

function readSums(client: Client, task: string) {
  return client.read(client.api.egress.stats.$get({ query: { task } }));
}
