import { latin1, readHeaderLines, viewOf } from "./header-lines.ts";

type BodyRead =
  /**
   * `content`: views into the input, or copies of very small ones; none of them empty. `consumed` is less than the
   * input only where `done`.
   */
  { ok: true; content: Uint8Array[]; consumed: number; done: boolean } | { ok: false; why: string };

/** Takes a body out of its framing as the bytes come in. */
export interface BodyReader {
  /** Never throws. After a failure every further read fails too. */
  read(bytes: Uint8Array): BodyRead;
  /** The sender ended its side: true where the body may end here. */
  end(): boolean;
}

/** A body in chunks (RFC 9112 section 7.1); see `createBodyReader`. */
export function createChunkReader(sentBy: "client" | "server"): BodyReader {
  const { whole, start } = sizeLines[sentBy];
  let state: ChunkState = { kind: "size", line: "" };

  const afterSizeLine = (line: string): ChunkState => {
    if (!line.endsWith("\n")) {
      return start.test(line) && line.length <= maxSizeLineBytes ? { kind: "size", line } : badSize;
    }
    const size = line.length <= maxSizeLineBytes ? whole.exec(line)?.[1] : undefined;
    if (size === undefined) return badSize;
    const left = Number.parseInt(size, 16);
    return left === 0 ? { kind: "trailers", line: "", bytes: 0 } : { kind: "content", left };
  };

  const afterContentEnd = (line: string): ChunkState => {
    if (line === "\r\n") return { kind: "size", line: "" };
    if (line === "\r") return { kind: "content-end", line };
    return { kind: "failed", why: "A chunk is longer than its size says." };
  };

  const afterTrailerLine = (line: string, bytes: number): ChunkState => {
    if (bytes > maxTrailerBytes) {
      return { kind: "failed", why: `The trailers have more than ${maxTrailerBytes} bytes.` };
    }
    if (!line.endsWith("\n")) return { kind: "trailers", line, bytes };
    if (line === "\r\n") return { kind: "done" };
    const read = readHeaderLines(line);
    return read.ok
      ? { kind: "trailers", line: "", bytes }
      : { kind: "failed", why: `In the trailers: ${read.text}` };
  };

  return {
    read(bytes) {
      const content: Uint8Array[] = [];
      let at = 0;
      while (at < bytes.length && state.kind !== "done" && state.kind !== "failed") {
        if (state.kind === "size" && state.line === "") {
          const behind = wholeChunks(bytes, at, content);
          if (behind > at) {
            at = behind;
            continue;
          }
        }
        if (state.kind === "content") {
          const to = Math.min(bytes.length, at + state.left);
          content.push(bytes.subarray(at, to));
          const left: number = state.left - (to - at);
          state = left === 0 ? { kind: "content-end", line: "" } : { kind: "content", left };
          at = to;
          continue;
        }
        const to: number =
          state.kind === "content-end"
            ? Math.min(bytes.length, at + 2 - state.line.length)
            : lineEnd(bytes, at);
        const line: string = state.line + latin1(bytes, at, to);
        if (state.kind === "size") state = afterSizeLine(line);
        else if (state.kind === "content-end") state = afterContentEnd(line);
        else state = afterTrailerLine(line, state.bytes + (to - at));
        at = to;
      }
      if (state.kind === "failed") return { ok: false, why: state.why };
      return { ok: true, content, consumed: at, done: state.kind === "done" };
    },
    end: () => state.kind === "done",
  };
}

/** What the next byte of a chunked body is; `line` holds the beginning of a line that is not complete yet. */
type ChunkState =
  | { kind: "size"; line: string }
  | { kind: "content"; left: number }
  | { kind: "content-end"; line: string }
  | { kind: "trailers"; line: string; bytes: number }
  | { kind: "done" }
  | { kind: "failed"; why: string };

const maxSizeLineBytes = 1024;
const maxTrailerBytes = 8 * 1024;

/** Up to 8 digits: every content is below 4 GiB, far from where numbers lose precision. */
const sizeLines = {
  client: { whole: /^([0-9A-Fa-f]{1,8})\r\n$/, start: /^[0-9A-Fa-f]{0,8}\r?$/ },
  server: {
    whole: /^([0-9A-Fa-f]{1,8})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?\r\n$/,
    start: /^(?:[0-9A-Fa-f]{0,8}|[0-9A-Fa-f]{1,8}[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?)\r?$/,
  },
};

const badSize: ChunkState = { kind: "failed", why: "A chunk's size is not one." };

/** Below this a copy costs less than a view. */
const small = 64;

/**
 * Takes plain chunks that are there with their ends: all of a read but its last, as a rule. Where it stops, behind
 * `from` or at it, the rest is for the states. Without it chunks of one byte cost thirty times as much.
 */
function wholeChunks(bytes: Uint8Array, from: number, content: Uint8Array[]): number {
  let at = from;
  let copies: Uint8Array | undefined;
  let copied = 0;
  let told = 0;
  const flush = () => {
    if (copies !== undefined && copied > told) content.push(copies.subarray(told, copied));
    told = copied;
  };
  for (;;) {
    let size = 0;
    let start = at;
    for (let digit = hexOf(bytes[start]); digit >= 0 && start - at < 8; digit = hexOf(bytes[start])) {
      size = size * 16 + digit;
      start += 1;
    }
    const end = start + 2 + size;
    const isWhole = size > 0 && isCrlf(bytes, start) && isCrlf(bytes, end);
    if (!isWhole) break;
    if (size >= small) {
      flush();
      content.push(bytes.subarray(start + 2, end));
    } else {
      copies ??= Buffer.allocUnsafe(bytes.length - at);
      for (let place = start + 2; place < end; place++) copies[copied++] = bytes[place] ?? 0;
    }
    at = end + 2;
  }
  flush();
  return at;
}

function isCrlf(bytes: Uint8Array, at: number): boolean {
  return bytes[at] === 0x0d && bytes[at + 1] === 0x0a;
}

function hexOf(byte = 0): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

/** Behind the next LF, or where the bytes end. */
function lineEnd(bytes: Uint8Array, from: number): number {
  const lineFeed = viewOf(bytes).indexOf(0x0a, from);
  return lineFeed === -1 ? bytes.length : lineFeed + 1;
}
