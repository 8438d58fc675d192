import { headersOf, latin1, readHeaderLines, viewOf } from "./header-lines.ts";
import type { Bad, RequestHead } from "./request-head.ts";
import type { ResponseHead } from "./response-head.ts";

/** How the end of a message's body is found (RFC 9112 section 6). */
export type BodyFraming =
  | { kind: "none" }
  | { kind: "length"; length: number }
  | { kind: "chunked" }
  | { kind: "until-close" };

/**
 * How a request's body is framed. Whatever two readers could understand in two ways is refused, also where RFC 9112
 * section 6 would let it pass.
 */
export function requestFraming(
  head: RequestHead,
): { ok: true; framing: BodyFraming } | { ok: false; bad: Bad } {
  const lengths = headersOf(head, "content-length");
  const codings = headersOf(head, "transfer-encoding");
  if (lengths.length + codings.length === 0) return { ok: true, framing: { kind: "none" } };
  if (lengths.length + codings.length > 1) {
    return badFraming("There is more than one Content-Length or Transfer-Encoding header.");
  }
  const [length] = lengths;
  if (length !== undefined) {
    if (!/^[0-9]+$/.test(length)) return badFraming("Content-Length is not a number.");
    if (!isCountable(length)) {
      return { ok: false, bad: { status: 413, code: "body-too-large", text: "The body is too large." } };
    }
    return { ok: true, framing: { kind: "length", length: Number(length) } };
  }
  if (head.minor === 0) return badFraming("HTTP/1.0 has no Transfer-Encoding.");
  if (codings[0] !== "chunked") return badFraming("The only Transfer-Encoding taken is `chunked`.");
  return { ok: true, framing: { kind: "chunked" } };
}

/**
 * How a response's body is framed, after RFC 9112 section 6.3. `{ kind: "none" }` for what never has a body; the
 * bytes of a body sent all the same must not be taken for the next response. Identical repetitions of Content-Length
 * count as one (RFC 9110 section 8.6).
 */
export function responseFraming(
  head: ResponseHead,
  requestMethod: string,
): { ok: true; framing: BodyFraming } | { ok: false; why: string } {
  const isTunnel = requestMethod === "CONNECT" && head.status < 300;
  if (
    requestMethod === "HEAD" ||
    isTunnel ||
    head.status < 200 ||
    head.status === 204 ||
    head.status === 304
  ) {
    return { ok: true, framing: { kind: "none" } };
  }
  const lengths = headersOf(head, "content-length");
  const codings = headersOf(head, "transfer-encoding");
  const [length] = lengths;
  const [coding] = codings;
  if (coding !== undefined) {
    if (length !== undefined) return { ok: false, why: "It has both Transfer-Encoding and Content-Length." };
    if (head.minor === 0) return { ok: false, why: "It has Transfer-Encoding, which HTTP/1.0 has not." };
    if (codings.length > 1 || coding.toLowerCase() !== "chunked") {
      return { ok: false, why: "Its Transfer-Encoding is not `chunked` alone." };
    }
    return { ok: true, framing: { kind: "chunked" } };
  }
  if (length === undefined) return { ok: true, framing: { kind: "until-close" } };
  if (lengths.some((other) => other !== length) || !isCountable(length)) {
    return { ok: false, why: "Its Content-Length is not one number." };
  }
  return { ok: true, framing: { kind: "length", length: Number(length) } };
}

type BodyRead =
  /** `content`: views into the input, none of them empty. `consumed` is less than the input only where `done`. */
  { ok: true; content: Uint8Array[]; consumed: number; done: boolean } | { ok: false; why: string };

/** Takes a body out of its framing as the bytes come in. */
export interface BodyReader {
  /** Never throws. After a failure every further read fails too. */
  read(bytes: Uint8Array): BodyRead;
  /** The sender ended its side: true where the body may end here. */
  end(): boolean;
}

/**
 * `sentBy`: chunk extensions are refused in requests, where they have been used for smuggling, and dropped in
 * responses. Trailers are checked like headers, and dropped.
 */
export function createBodyReader(framing: BodyFraming, sentBy: "client" | "server" = "client"): BodyReader {
  switch (framing.kind) {
    case "none":
      return createLengthReader(0);
    case "length":
      return createLengthReader(framing.length);
    case "chunked":
      return createChunkReader(sentBy);
    case "until-close":
      return {
        read: (bytes) => ({
          ok: true,
          content: bytes.length === 0 ? [] : [bytes],
          consumed: bytes.length,
          done: false,
        }),
        end: () => true,
      };
  }
}

/** One chunk around all of `content`; nothing around nothing, as a chunk of no bytes would end the body. */
export function chunkOf(content: readonly Uint8Array[]): Uint8Array[] {
  const length = content.reduce((sum, piece) => sum + piece.length, 0);
  if (length === 0) return [];
  return [Buffer.from(`${length.toString(16)}\r\n`, "latin1"), ...content, crlf];
}

export const lastChunk: Uint8Array = Buffer.from("0\r\n\r\n", "latin1");

const crlf: Uint8Array = Buffer.from("\r\n", "latin1");

function createLengthReader(length: number): BodyReader {
  let left = length;
  return {
    read(bytes) {
      const consumed = Math.min(left, bytes.length);
      left -= consumed;
      const content = consumed === 0 ? [] : [consumed === bytes.length ? bytes : bytes.subarray(0, consumed)];
      return { ok: true, content, consumed, done: left === 0 };
    },
    end: () => left === 0,
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

/** RFC 9112 section 7.1. */
function createChunkReader(sentBy: "client" | "server"): BodyReader {
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
            ? Math.min(bytes.length, at + crlf.length - state.line.length)
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

const badSize: ChunkState = { kind: "failed", why: "A chunk's size is not one." };

/** Behind the next LF, or where the bytes end. */
function lineEnd(bytes: Uint8Array, from: number): number {
  const lineFeed = viewOf(bytes).indexOf(0x0a, from);
  return lineFeed === -1 ? bytes.length : lineFeed + 1;
}

function badFraming(text: string): { ok: false; bad: Bad } {
  return { ok: false, bad: { status: 400, code: "bad-framing", text } };
}

/** Digits, and few enough that the number is exact. */
function isCountable(text: string): boolean {
  return /^[0-9]+$/.test(text) && Number(text) <= Number.MAX_SAFE_INTEGER;
}
