import { and, desc, eq, gt, gte, lt, lte, max, min, type SQL, sql } from "drizzle-orm";
import type { EgressFilter } from "../domain/egress.ts";
import { messageOf } from "../domain/errors.ts";
import type { Log } from "../domain/ports.ts";
import type { EgressStore } from "../domain/store.ts";
import type { StoreContext } from "./context.ts";
import { createLedgerWriter, type LedgerWriter, withoutSync } from "./egress-ledger.ts";
import { egressRequests, sandboxes } from "./schema.ts";

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
const statsHosts = 100;

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
    return withoutSync(context, () =>
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
    ledger: { open: (entry) => writer.open(entry) },
    list: ({ before, limit, ...filter }) =>
      db
        .select()
        .from(egressRequests)
        .where(and(where(filter), before === undefined ? undefined : lt(egressRequests.id, before)))
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
    lastId: () =>
      db
        .select({ id: max(egressRequests.id) })
        .from(egressRequests)
        .get()?.id ?? 0,
    stats(filter) {
      const columns = {
        requests: sql<number>`count(*)`,
        refused: sql<number>`coalesce(sum(${egressRequests.verdict} = 'refused'), 0)`,
        bytesUp: sql<number>`coalesce(sum(${egressRequests.bytesUp}), 0)`,
        bytesDown: sql<number>`coalesce(sum(${egressRequests.bytesDown}), 0)`,
      };
      const total = db.select(columns).from(egressRequests).where(where(filter)).get();
      const hosts = db
        .select({ host: egressRequests.host, ...columns })
        .from(egressRequests)
        .where(where(filter))
        .groupBy(egressRequests.host)
        .orderBy(desc(columns.requests), egressRequests.host)
        .limit(statsHosts)
        .all();
      return {
        total: total ?? { requests: 0, refused: 0, bytesUp: 0, bytesDown: 0 },
        hosts,
        lost: writer.lost(),
      };
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
