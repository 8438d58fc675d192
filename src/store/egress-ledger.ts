import { eq, sql } from "drizzle-orm";
import type { EgressEnd, EgressEntry, EgressLedger } from "../domain/egress.ts";
import { messageOf } from "../domain/errors.ts";
import type { SandboxId } from "../domain/ids.ts";
import type { Log } from "../domain/ports.ts";
import type { StoreContext } from "./context.ts";
import { busyTimeoutMs } from "./database.ts";
import { accessRequests } from "./schema/access-requests.ts";
import { sandboxes } from "./schema/sandboxes.ts";

export interface LedgerOptions {
  log: Log;
  /** Entries that wait to be written; what comes beyond is counted and lost. */
  maxQueue: number;
}

/** What one flush writes: more would hold the event loop, and the traffic with it, for too long. */
const batchRows = 500;
const flushMs = 100;
/** After a write failed: a full disk is not mended within a tenth of a second. */
const retryMs = 1000;
const lostLogMs = 60_000;
/** Of one field, in characters; a row then has a known size at most. */
const maxText = 1000;

/** One entry on its way to the table. */
interface Line {
  id: number;
  entry: EgressEntry;
  end: EgressEnd | undefined;
  /** Whether the table has its beginning. */
  kept: boolean;
  queued: boolean;
}

export interface LedgerWriter extends EgressLedger {
  lost(): number;
  /** Not yet written. */
  uploadedSince(sandboxId: SandboxId): number;
  repeat(accessRequestId: number): void;
  close(): void;
}

/**
 * Writes entries behind the traffic's back: they are queued, and written in one transaction every 100 ms or 500 rows.
 * An entry that ends before it was written is one insert.
 */
export function createLedgerWriter(context: StoreContext, { log, maxQueue }: LedgerOptions): LedgerWriter {
  const { db, ids } = context;
  let nextId = lastIdEver(context) + 1;
  let queue: Line[] = [];
  const uploads = new Map<SandboxId, number>();
  const repeats = new Map<number, number>();
  let lost = 0;
  let lostUntold = 0;
  let timer: Timer | undefined;
  let dueAtOnce = false;
  /** The last write failed: nothing but time hastens the next one. */
  let failing = false;
  let closed = false;
  const { insert, update } = prepare(context);

  const arm = (ms: number) => {
    if (closed) return;
    if (timer !== undefined && (failing || ms > 0 || dueAtOnce)) return;
    clearTimeout(timer);
    dueAtOnce = ms === 0;
    timer = setTimeout(() => {
      timer = undefined;
      dueAtOnce = false;
      flush();
    }, ms);
    timer.unref();
  };

  const push = (line: Line) => {
    queue.push(line);
    line.queued = true;
    arm(queue.length >= batchRows ? 0 : flushMs);
  };

  const write = (batch: readonly Line[]) => {
    for (const { id, entry, end, kept } of batch) {
      if (!kept) insert(id, entry, end);
      else if (end !== undefined) update(id, end);
    }
    for (const [id, bytes] of uploads) {
      db.update(sandboxes)
        .set({ uploadedBytes: sql`${sandboxes.uploadedBytes} + ${bytes}` })
        .where(eq(sandboxes.id, id))
        .run();
    }
    for (const [id, count] of repeats) {
      db.update(accessRequests)
        .set({ count: sql`${accessRequests.count} + ${count}`, lastAt: ids.now() })
        .where(eq(accessRequests.id, id))
        .run();
    }
  };

  const flush = () => {
    const batch = queue.slice(0, batchRows);
    try {
      withoutWaiting(context, () => db.transaction(() => write(batch)));
      failing = false;
    } catch (thrown) {
      failing = true;
      log.error("the egress ledger cannot be written; trying again", { reason: messageOf(thrown) });
      return arm(retryMs);
    }
    queue = queue.slice(batch.length);
    for (const line of batch) {
      line.kept = true;
      line.queued = false;
    }
    uploads.clear();
    repeats.clear();
    if (queue.length > 0) arm(queue.length >= batchRows ? 0 : flushMs);
  };

  const lose = () => {
    lost += 1;
    lostUntold += 1;
  };
  const lostTimer = setInterval(() => {
    if (lostUntold > 0)
      log.warn("egress entries were lost: they came faster than they can be written", {
        entries: lostUntold,
      });
    lostUntold = 0;
  }, lostLogMs);
  lostTimer.unref();

  return {
    open(entry) {
      const line: Line = { id: 0, entry, end: undefined, kept: false, queued: false };
      const room = queue.length < maxQueue && !closed;
      if (room) {
        line.id = nextId++;
        push(line);
      } else {
        lose();
      }
      return (end) => {
        if (line.end !== undefined) return;
        line.end = end;
        // The end of what is in the table already is never lost for want of room: each stands for one open request.
        if (room && !line.queued) push(line);
      };
    },
    sent(sandboxId, bytes) {
      uploads.set(sandboxId, (uploads.get(sandboxId) ?? 0) + bytes);
      arm(flushMs);
    },
    lost: () => lost,
    uploadedSince: (sandboxId) => uploads.get(sandboxId) ?? 0,
    repeat(id) {
      repeats.set(id, (repeats.get(id) ?? 0) + 1);
      arm(flushMs);
    },
    close() {
      clearInterval(lostTimer);
      clearTimeout(timer);
      let before: number;
      do {
        before = queue.length;
        flush();
      } while (queue.length > 0 && queue.length < before);
      closed = true;
      clearTimeout(timer);
    },
  };
}

/**
 * Runs a write that can be done later, and whose loss in a power cut is no harm: without waiting for the disk, or for
 * another process that holds the database (a copy being made, a person with `sqlite3`), since the traffic would wait
 * with it. Later writes with FULL bring these to the disk, too: the log is one file.
 */
export function withoutWaiting<Result>({ db }: StoreContext, work: () => Result): Result {
  db.run(sql`PRAGMA synchronous = NORMAL`);
  db.run(sql`PRAGMA busy_timeout = 0`);
  try {
    return work();
  } finally {
    db.run(sql.raw(`PRAGMA busy_timeout = ${busyTimeoutMs}`));
    db.run(sql`PRAGMA synchronous = FULL`);
  }
}

/** The highest id that was ever given out, whether its row is still there or not. */
function lastIdEver({ db }: StoreContext): number {
  return (
    db.all<{ seq: number }>(sql`SELECT seq FROM sqlite_sequence WHERE name = 'egress_requests'`)[0]?.seq ?? 0
  );
}

/** Without the query builder, which takes several times as long as the database does. */
function prepare({ db }: StoreContext) {
  const insert = db.$client.prepare(
    `INSERT INTO egress_requests (id, task_id, sandbox_id, at, kind, host, port, method, path, address,
       verdict, reason, status, bytes_up, bytes_down, ms, open)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const update = db.$client.prepare(
    `UPDATE egress_requests
     SET address = ?, verdict = ?, reason = ?, status = ?, bytes_up = ?, bytes_down = ?, ms = ?, open = 0 WHERE id = ?`,
  );
  return {
    insert(id: number, entry: EgressEntry, end: EgressEnd | undefined) {
      const { address, verdict, reason, status, bytesUp, bytesDown, ms } = end ?? entry;
      insert.run(
        ...[id, entry.taskId, entry.sandboxId, entry.at, entry.kind, cut(entry.host), entry.port],
        ...[cut(entry.method), cut(entry.path), cut(address)],
        ...[verdict, cut(reason), status, bytesUp, bytesDown, ms, end === undefined ? 1 : 0],
      );
    },
    update(id: number, { address, verdict, reason, status, bytesUp, bytesDown, ms }: EgressEnd) {
      update.run(cut(address), verdict, cut(reason), status, bytesUp, bytesDown, ms, id);
    },
  };
}

function cut(text: string): string {
  return text.length > maxText ? `${text.slice(0, maxText - 1)}…` : text;
}
