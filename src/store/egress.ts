import { setImmediate as nextTurn } from "node:timers/promises";
import { and, desc, eq, gt, gte, inArray, lt, lte, max, min, type SQL, sql } from "drizzle-orm";
import type { EgressFilter, EgressHostStats } from "../domain/egress.ts";
import { messageOf } from "../domain/errors.ts";
import type { Log } from "../domain/ports.ts";
import type { EgressStore } from "../domain/store/egress.ts";
import type { StoreContext } from "./context.ts";
import { createLedgerWriter, type LedgerWriter, withoutWaiting } from "./egress-ledger.ts";
import { egressRequests } from "./schema/egress.ts";
import { sandboxes } from "./schema/sandboxes.ts";

export interface EgressKeeping {
  log: Log;
  /** Entries older than this go. */
  keepDays: number;
  /** Entries beyond this many go, the oldest first. A row takes about 400 bytes with its places in the indices. */
  keepRows: number;
  /** Entries that wait to be written at most. */
  maxQueue: number;
}

const dayMs = 24 * 3600 * 1000;
const pruneEveryMs = 3 * 60_000;
/** One batch of deletions, a few milliseconds; the traffic passes in between. */
const pruneRows = 1000;
/** Rows that are summed up at once: a few milliseconds. */
const statsRows = 4000;
const shownHosts = 100;
/** A sandbox can think of names without end; those beyond count in the total alone. */
const maxHosts = 50_000;

type Sums = Omit<EgressHostStats, "host">;
const nothing: Sums = { requests: 0, refused: 0, bytesUp: 0, bytesDown: 0 };

/** The ledger of egress: written by `egress-ledger.ts`, read and pruned here. */
export function createEgressStore(
  context: StoreContext,
  { log, keepDays, keepRows, maxQueue }: EgressKeeping,
): { store: EgressStore; writer: LedgerWriter; prune(): number; close(): void } {
  const { db, ids } = context;
  closeWhatWasOpen(context);
  const writer = createLedgerWriter(context, { log, maxQueue });

  const prune = (): number => {
    const ends = db
      .select({ first: min(egressRequests.id), last: max(egressRequests.id) })
      .from(egressRequests)
      .get();
    if (ends?.first == null || ends.last == null) return 0;
    const upTo = ends.first + pruneRows - 1;
    // Ids stand in the order of time and have few gaps, so no row needs to be counted.
    const tooMany = ends.last - keepRows;
    const tooOld = lt(egressRequests.at, ids.now() - keepDays * dayMs);
    const goes = sql`(${egressRequests.id} <= ${tooMany} OR ${tooOld})`;
    return withoutWaiting(context, () =>
      db
        .delete(egressRequests)
        .where(and(lte(egressRequests.id, upTo), goes))
        .returning({ id: egressRequests.id })
        .all(),
    ).length;
  };

  let pruning: Timer;
  const pruneLater = (ms: number) => {
    pruning = setTimeout(() => {
      let gone = 0;
      try {
        gone = prune();
      } catch (thrown) {
        log.error("the egress ledger cannot be pruned; trying again", { reason: messageOf(thrown) });
      }
      pruneLater(gone === pruneRows ? 50 : pruneEveryMs);
    }, ms);
    pruning.unref();
  };
  pruneLater(pruneEveryMs);

  const store: EgressStore = {
    ledger: { open: (entry) => writer.open(entry), sent: (id, bytes) => writer.sent(id, bytes) },
    list: ({ before, limit, ...filter }) =>
      db
        .select()
        .from(egressRequests)
        .where(
          and(
            where(filter),
            before === undefined ? undefined : lt(egressRequests.id, before),
            filter.since === undefined ? undefined : gte(egressRequests.id, firstSince(db, filter.since)),
          ),
        )
        .orderBy(desc(egressRequests.id))
        .limit(limit)
        .all(),
    after: (id, { limit, ...filter }) =>
      db
        .select()
        .from(egressRequests)
        .where(and(where(filter), gt(egressRequests.id, id)))
        .orderBy(egressRequests.id)
        .limit(limit)
        .all(),
    get: (ids) =>
      db
        .select()
        .from(egressRequests)
        .where(inArray(egressRequests.id, [...ids]))
        .orderBy(egressRequests.id)
        .all(),
    lastId: () =>
      db
        .select({ id: max(egressRequests.id) })
        .from(egressRequests)
        .get()?.id ?? 0,
    async stats(filter) {
      const hosts = new Map<string, Sums>();
      const total = { ...nothing };
      for (let after = 0; ; ) {
        const portion = summed(context, filter, after);
        if (portion.length === 0) break;
        for (const { host, last, ...sums } of portion) {
          after = Math.max(after, last);
          add(total, sums);
          const of = hosts.get(host) ?? (hosts.size < maxHosts ? { ...nothing } : undefined);
          if (of !== undefined) hosts.set(host, add(of, sums));
        }
        // The traffic takes its turn in between.
        await nextTurn();
      }
      const most = [...hosts]
        .map(([host, sums]) => ({ host, ...sums }))
        .sort((a, b) => b.requests - a.requests || (a.host < b.host ? -1 : 1))
        .slice(0, shownHosts);
      return { total, hosts: most, lost: writer.lost() };
    },
    uploaded: (sandboxId) =>
      (db.select({ bytes: sandboxes.uploadedBytes }).from(sandboxes).where(eq(sandboxes.id, sandboxId)).get()
        ?.bytes ?? 0) + writer.uploadedSince(sandboxId),
  };
  return {
    store,
    writer,
    prune,
    close() {
      clearTimeout(pruning);
      writer.close();
    },
  };
}

/** A server process that was killed has told the end of nothing that was under way. */
function closeWhatWasOpen({ db }: StoreContext): void {
  db.update(egressRequests)
    .set({ verdict: "failed", reason: "server-stopped", open: false })
    .where(sql`open = 1`)
    .run();
}

/** The sums of the next rows behind `after`, by host; none where there are no more. */
function summed({ db }: StoreContext, filter: EgressFilter, after: number) {
  const first = filter.since === undefined ? 0 : firstSince(db, filter.since);
  const rows = db
    .select({
      id: egressRequests.id,
      host: egressRequests.host,
      verdict: egressRequests.verdict,
      bytesUp: egressRequests.bytesUp,
      bytesDown: egressRequests.bytesDown,
    })
    .from(egressRequests)
    .where(and(where(filter), gt(egressRequests.id, Math.max(after, first - 1))))
    .orderBy(egressRequests.id)
    .limit(statsRows)
    .as("rows");
  return db
    .select({
      host: rows.host,
      last: sql<number>`max(${rows.id})`,
      requests: sql<number>`count(*)`,
      refused: sql<number>`sum(${rows.verdict} = 'refused')`,
      bytesUp: sql<number>`sum(${rows.bytesUp})`,
      bytesDown: sql<number>`sum(${rows.bytesDown})`,
    })
    .from(rows)
    .groupBy(rows.host)
    .all();
}

function add(to: Sums, { requests, refused, bytesUp, bytesDown }: Sums): Sums {
  to.requests += requests;
  to.refused += refused;
  to.bytesUp += bytesUp;
  to.bytesDown += bytesDown;
  return to;
}

/** Where a time begins among the ids, which stand in the order of time; past all of them where nothing is as new. */
function firstSince(db: StoreContext["db"], since: number): number {
  const found = db
    .select({ id: egressRequests.id })
    .from(egressRequests)
    .where(gte(egressRequests.at, since))
    .orderBy(egressRequests.at)
    .limit(1)
    .get();
  return found?.id ?? Number.MAX_SAFE_INTEGER;
}

function where({ taskId, host, verdict, since }: EgressFilter): SQL | undefined {
  return and(
    taskId === undefined ? undefined : eq(egressRequests.taskId, taskId),
    host === undefined ? undefined : eq(egressRequests.host, host),
    verdict === undefined ? undefined : eq(egressRequests.verdict, verdict),
    // Said in these words, SQLite sees that the partial index holds all that is looked for.
    verdict === undefined || verdict === "allowed" ? undefined : sql`verdict <> 'allowed'`,
    since === undefined ? undefined : gte(egressRequests.at, since),
  );
}
