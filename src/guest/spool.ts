import { closeSync, ftruncateSync, mkdirSync, openSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isNoSpace } from "../domain/disk.ts";
import { CcwError } from "../domain/errors.ts";
import type { GuestEvent } from "../domain/event.ts";
import { createBell } from "./bell.ts";
import { noFollower, replay, type SpoolFollower, type SpoolNotes } from "./spool-follower.ts";
import {
  listSegments,
  readLines,
  recoverLast,
  type Segment,
  segmentName,
  skipLines,
  writeWhole,
} from "./spool-segment.ts";

/**
 * Events on disk, numbered from 1 without gaps, kept until the appliance has acknowledged them. One JSON line an
 * event, in segments named by their first number. A line counts once its newline is there, so a guest killed in
 * mid-write loses that one event and no number. Nothing is held in memory: the sender reads back from the disk.
 *
 * No fsync: the spool has to survive the guest's death, not the machine's, with which the sandbox dies too.
 */
export interface Spool {
  /**
   * Writes one event. Resolves as soon as there is room for the next: a caller that waits is slowed down to what
   * the appliance takes once the disk holds `maxBytes`, or while the disk is full.
   */
  append(event: GuestEvent, notes?: SpoolNotes): Promise<void>;
  /** Lines after the acknowledged ones, about `maxBatchBytes` of them and at least one; empty when there is none. */
  batch(): { body: string; last: number };
  acknowledge(n: number): void;
  /** Resolves when an event waits, or when all are acknowledged, or when the signal ends. */
  waiting(signal: AbortSignal): Promise<void>;
  drained(signal: AbortSignal): Promise<void>;
  readonly last: number;
  readonly acked: number;
  close(): void;
}

export interface SpoolOptions {
  folder: string;
  /** Events up to this number are with the appliance already. */
  acked: number;
  follower?: SpoolFollower;
  maxBytes?: number;
  segmentBytes?: number;
  maxBatchBytes?: number;
}

/** Set aside so that an agent that fills the disk leaves room for the words that say so. */
const ballastBytes = 1024 ** 2;

/** Throws `conflict` when the appliance has lost events that this spool no longer holds. */
export function openSpool(options: SpoolOptions): Spool {
  const {
    folder,
    follower = noFollower,
    maxBytes = 1024 ** 3,
    segmentBytes = 8 * 1024 ** 2,
    maxBatchBytes = 1024 ** 2,
  } = options;
  mkdirSync(folder, { recursive: true });
  const segments = listSegments(folder);
  let last = recoverLast(segments);
  let acked = options.acked;
  replay(segments, acked, follower);
  if (follower.taken === null) follower.skip(last);
  let total = segments.reduce((sum, segment) => sum + segment.bytes, 0);
  let write: number | undefined;
  const dropAll = () => {
    if (write !== undefined) closeSync(write);
    write = undefined;
    for (const segment of segments.splice(0)) rmSync(segment.path, { force: true });
    total = 0;
  };
  const ballast = join(folder, "ballast");
  setAside(ballast);

  const oldest = segments[0]?.first ?? last + 1;
  if (segments.length > 0 && acked < oldest - 1) {
    throw new CcwError(
      "conflict",
      `The appliance holds this sandbox's events up to ${acked}, the sandbox only those from ${oldest}.`,
      "The appliance's database is older than this sandbox. Start the task again.",
    );
  }
  if (acked > last) {
    // The spool is gone or older than the appliance's word: go on after what the appliance holds.
    dropAll();
    last = acked;
  }
  let position: { path: string; offset: number; next: number } | undefined;
  const wakeWriters = createBell();
  const wakeReaders = createBell();
  const wakeDrained = createBell();
  let tail: Promise<void> = Promise.resolve();
  let closed = false;

  const current = (): { segment: Segment; fd: number } => {
    let segment = segments.at(-1);
    if (segment === undefined || segment.bytes >= segmentBytes) {
      if (write !== undefined) closeSync(write);
      write = undefined;
      segment = { first: last + 1, path: join(folder, segmentName(last + 1)), bytes: 0 };
      segments.push(segment);
    }
    write ??= openSync(segment.path, "a");
    return { segment, fd: write };
  };

  const writeLine = async (event: GuestEvent, notes: SpoolNotes) => {
    for (;;) {
      if (closed) return;
      const { segment, fd } = current();
      const line = { n: last + 1, ...notes, event };
      const bytes = Buffer.from(`${JSON.stringify(line)}\n`);
      try {
        writeWhole(fd, bytes);
        segment.bytes += bytes.length;
        total += bytes.length;
        last++;
        follower.take(line);
        wakeReaders.ring();
        return;
      } catch (thrown) {
        // A full disk: take the half line back, give back what is not needed, and wait for more to be freed.
        ftruncateSync(fd, segment.bytes);
        if (!isNoSpace(thrown)) throw thrown;
        rmSync(ballast, { force: true });
        if (acked === last && follower.save() >= last) dropAll();
        await Bun.sleep(1000);
      }
    }
  };

  const locate = (): { path: string; offset: number; next: number } | undefined => {
    const next = acked + 1;
    if (position !== undefined && position.next === next) {
      const here = segments.find((segment) => segment.path === position?.path);
      if (here !== undefined && position.offset < here.bytes) return position;
    }
    const segment = segments.findLast(({ first }) => first <= next);
    if (segment === undefined) return undefined;
    const offset = skipLines(segment.path, 0, next - segment.first);
    return offset === undefined ? undefined : { path: segment.path, offset, next };
  };

  return {
    append(event, notes = {}) {
      tail = tail.then(async () => {
        await writeLine(event, notes);
        while (total > maxBytes && acked < last && !closed) await wakeWriters.wait();
      });
      return tail;
    },
    batch() {
      if (acked >= last) return { body: "", last: acked };
      position = locate();
      if (position === undefined) throw new Error(`event ${acked + 1} is missing from the spool`);
      const lines = readLines(position.path, position.offset, maxBatchBytes);
      return { body: lines.text, last: acked + lines.count };
    },
    acknowledge(n) {
      if (n <= acked) return;
      if (n > last)
        throw new CcwError("conflict", `The appliance acknowledged event ${n}; the last one is ${last}.`);
      position = locate();
      if (position !== undefined) {
        const skipped = skipLines(position.path, position.offset, n - acked);
        position = skipped === undefined ? undefined : { path: position.path, offset: skipped, next: n + 1 };
      }
      acked = n;
      const isDone = () => segments.length > 1 && (segments[1]?.first ?? 0) <= acked + 1;
      const needless = isDone() ? Math.min(acked, follower.save()) : 0;
      while (isDone() && (segments[1]?.first ?? 0) <= needless + 1) {
        const gone = segments.shift();
        if (gone === undefined) break;
        rmSync(gone.path, { force: true });
        total -= gone.bytes;
      }
      wakeWriters.ring();
      if (acked === last) wakeDrained.ring();
    },
    async waiting(signal) {
      while (acked >= last && !signal.aborted && !closed) await wakeReaders.wait(signal);
    },
    async drained(signal) {
      while (acked < last && !signal.aborted && !closed) await wakeDrained.wait(signal);
    },
    get last() {
      return last;
    },
    get acked() {
      return acked;
    },
    close() {
      closed = true;
      if (write !== undefined) closeSync(write);
      write = undefined;
      wakeWriters.ring();
      wakeReaders.ring();
      wakeDrained.ring();
    },
  };
}

/** A disk that is full already has nothing to set aside; the spool works without. */
function setAside(path: string): void {
  try {
    writeFileSync(path, Buffer.alloc(ballastBytes));
  } catch (thrown) {
    rmSync(path, { force: true });
    if (!isNoSpace(thrown)) throw thrown;
  }
}
