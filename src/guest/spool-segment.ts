import {
  closeSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";

/** One file of the spool: whole lines, the first of which has the number `first`. */
export interface Segment {
  first: number;
  path: string;
  bytes: number;
}

/** Sixteen digits hold every number that JavaScript counts exactly, and sort as text. */
export const segmentName = (first: number) => `events-${String(first).padStart(16, "0")}.ndjson`;
const segmentShape = /^events-(\d{16})\.ndjson$/;

export function listSegments(folder: string): Segment[] {
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
export function recoverLast(segments: Segment[]): number {
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

/** Hands each line over with its number; where another one comes back, the file is written anew. */
export function mendSegment(segment: Segment, mend: (line: string, n: number) => string): void {
  const whole = readFileSync(segment.path);
  const lines: string[] = [];
  let from = 0;
  for (let end = whole.indexOf(10); end !== -1; end = whole.indexOf(10, from)) {
    lines.push(whole.toString("utf8", from, end));
    from = end + 1;
  }
  const mended = lines.map((line, index) => mend(line, segment.first + index));
  if (mended.every((line, index) => line === lines[index])) return;
  const bytes = Buffer.from(mended.map((line) => `${line}\n`).join(""));
  writeFileSync(`${segment.path}.new`, bytes);
  renameSync(`${segment.path}.new`, segment.path);
  segment.bytes = bytes.length;
}

/** The offset after `count` lines from `offset`; undefined when the file ends sooner. */
export function skipLines(path: string, offset: number, count: number): number | undefined {
  if (count === 0) return offset;
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
export function readLines(path: string, offset: number, limit: number): { text: string; count: number } {
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

export function writeWhole(fd: number, bytes: Buffer): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
}
