import {
  closeSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { CcwError } from "../domain/errors.ts";
import type { GuestEvent } from "../domain/event.ts";

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
  append(event: GuestEvent): Promise<void>;
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
  maxBytes?: number;
  segmentBytes?: number;
  maxBatchBytes?: number;
}

interface Segment {
  first: number;
  path: string;
  bytes: number;
}

/** Throws `conflict` when the appliance has lost events that this spool no longer holds. */
export function openSpool(options: SpoolOptions): Spool {
  const { folder, maxBytes = 1024 ** 3, segmentBytes = 8 * 1024 ** 2, maxBatchBytes = 1024 ** 2 } = options;
  mkdirSync(folder, { recursive: true });
  const segments = listSegments(folder);
  let last = recoverLast(segments);
  let acked = options.acked;
  let total = segments.reduce((sum, segment) => sum + segment.bytes, 0);
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
    for (const segment of segments.splice(0)) rmSync(segment.path, { force: true });
    last = acked;
    total = 0;
  }

  let write: number | undefined;
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

  const writeLine = async (event: GuestEvent) => {
    for (;;) {
      if (closed) return;
      const { segment, fd } = current();
      const line = Buffer.from(`{"n":${last + 1},"event":${JSON.stringify(event)}}\n`);
      try {
        writeWhole(fd, line);
        segment.bytes += line.length;
        total += line.length;
        last++;
        wakeReaders.ring();
        return;
      } catch (thrown) {
        // A full disk: take the half line back, and wait for the agent or the acknowledgements to free space.
        ftruncateSync(fd, segment.bytes);
        if (!isNoSpace(thrown)) throw thrown;
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
    const offset = offsetOfLine(segment, next - segment.first);
    return offset === undefined ? undefined : { path: segment.path, offset, next };
  };

  return {
    append(event) {
      tail = tail.then(async () => {
        await writeLine(event);
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
      while (segments.length > 1 && (segments[1]?.first ?? 0) <= acked + 1) {
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

/** Sixteen digits hold every number that JavaScript counts exactly, and sort as text. */
const segmentName = (first: number) => `events-${String(first).padStart(16, "0")}.ndjson`;
const segmentShape = /^events-(\d{16})\.ndjson$/;

function listSegments(folder: string): Segment[] {
  return readdirSync(folder)
    .sort()
    .flatMap((name) => {
      const match = segmentShape.exec(name);
      const path = join(folder, name);
      return match === null ? [] : [{ first: Number(match[1]), path, bytes: sizeOf(path) }];
    });
}

function sizeOf(path: string): number {
  return withFile(path, "r", (fd) => fstatSync(fd).size);
}

/** The number of the last whole line; cuts a torn one off the last segment. */
function recoverLast(segments: Segment[]): number {
  const segment = segments.at(-1);
  if (segment === undefined) return 0;
  return withFile(segment.path, "r+", (fd) => {
    let lines = 0;
    let end = 0;
    eachNewline(fd, 0, (offset) => {
      lines++;
      end = offset;
      return true;
    });
    if (end < segment.bytes) ftruncateSync(fd, end);
    segment.bytes = end;
    return segment.first + lines - 1;
  });
}

function offsetOfLine(segment: Segment, index: number): number | undefined {
  return index === 0 ? 0 : skipLines(segment.path, 0, index);
}

/** The offset after `count` lines from `offset`; undefined when the file ends sooner. */
function skipLines(path: string, offset: number, count: number): number | undefined {
  return withFile(path, "r", (fd) => {
    let left = count;
    let at: number | undefined;
    eachNewline(fd, offset, (end) => {
      left--;
      if (left === 0) at = end;
      return left > 0;
    });
    return at;
  });
}

/** Whole lines from `offset`: as many as fit `limit`, and one at least. */
function readLines(path: string, offset: number, limit: number): { text: string; count: number } {
  return withFile(path, "r", (fd) => {
    let end = offset;
    let count = 0;
    eachNewline(fd, offset, (at) => {
      if (count > 0 && at - offset > limit) return false;
      end = at;
      count++;
      return true;
    });
    const bytes = Buffer.alloc(end - offset);
    readSync(fd, bytes, 0, bytes.length, offset);
    return { text: bytes.toString("utf8"), count };
  });
}

/** Calls back with the offset behind every newline until told to stop. */
function eachNewline(fd: number, from: number, onEnd: (offset: number) => boolean): void {
  const buffer = Buffer.alloc(256 * 1024);
  let offset = from;
  for (;;) {
    const got = readSync(fd, buffer, 0, buffer.length, offset);
    if (got === 0) return;
    const chunk = buffer.subarray(0, got);
    for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, at + 1)) {
      if (!onEnd(offset + at + 1)) return;
    }
    offset += got;
  }
}

function withFile<T>(path: string, flags: "r" | "r+", use: (fd: number) => T): T {
  const fd = openSync(path, flags);
  try {
    return use(fd);
  } finally {
    closeSync(fd);
  }
}

function writeWhole(fd: number, bytes: Buffer): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
}

/** Whether a system call failed for want of disk. */
export function isNoSpace(thrown: unknown): boolean {
  return (
    thrown instanceof Error && "code" in thrown && (thrown.code === "ENOSPC" || thrown.code === "EDQUOT")
  );
}

/** Wakes everybody who waits, at each ring. */
function createBell() {
  let resolvers: (() => void)[] = [];
  return {
    ring() {
      const woken = resolvers;
      resolvers = [];
      for (const resolve of woken) resolve();
    },
    wait(signal?: AbortSignal): Promise<void> {
      return new Promise((resolve) => {
        if (signal?.aborted === true) return resolve();
        const done = () => {
          signal?.removeEventListener("abort", done);
          resolve();
        };
        signal?.addEventListener("abort", done);
        resolvers.push(done);
      });
    },
  };
}
