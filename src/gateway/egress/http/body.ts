import { type BodyReader, createChunkReader } from "./chunk-reader.ts";
import { headersOf } from "./header-lines.ts";
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

function badFraming(text: string): { ok: false; bad: Bad } {
  return { ok: false, bad: { status: 400, code: "bad-framing", text } };
}

/** Digits, and few enough that the number is exact. */
function isCountable(text: string): boolean {
  return /^[0-9]+$/.test(text) && Number(text) <= Number.MAX_SAFE_INTEGER;
}
