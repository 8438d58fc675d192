/**
 * Undoes percent-encoding (RFC 3986 2.1) and the escapes of JSON strings (RFC 8259 7), both at once: what comes may
 * be either, and nobody says which. What is not a whole escape stays as it is.
 */

/** One reading of a piece of a stream. */
export interface Reading {
  /** From `headroom` on; before it there is room for what the next reading left over from the piece before. */
  bytes: Uint8Array;
  /** Where the raw form of each byte begins, counted from the beginning of the raw piece; one more than bytes. */
  origins: Int32Array;
  /** Index after the last byte. */
  end: number;
}

export const headroom = 8;

/** For pieces of `size` bytes and what was left over before them; the origins are those of a piece as it came. */
export function createReading(size: number): Reading {
  const room = size + 2 * headroom;
  return {
    bytes: new Uint8Array(headroom + room),
    origins: Int32Array.from({ length: headroom + room + 1 }, (_, index) => index - headroom),
    end: headroom,
  };
}

/**
 * Reads `input` from index `from` into `output`. Returns the index in `input` of the first byte that was not read: the
 * beginning of an escape whose rest has not come, at most 5 bytes; with `last` everything is read.
 */
export function undoEscapes(
  input: Reading,
  from: number,
  output: Reading,
  last: boolean,
): { readTo: number; changed: boolean } {
  const { bytes, origins, end } = input;
  let at = from;
  let to = headroom;
  let changed = false;
  let percent = -1;
  let backslash = -1;

  while (at < end) {
    if (percent < at) percent = nextOf(bytes, 37, at, end);
    if (backslash < at) backslash = nextOf(bytes, 92, at, end);
    const stop = Math.min(percent, backslash);
    for (; at < stop; at++, to++) {
      output.bytes[to] = bytes[at] as number;
      output.origins[to] = origins[at] as number;
    }
    if (at === end) break;

    const size = escapeSize(bytes, at, end);
    if (size === incomplete && !last) break;
    const origin = origins[at] as number;
    const first = to;
    if (size === incomplete || size === notAnEscape) {
      output.bytes[to++] = bytes[at++] as number;
    } else {
      to = putMeaning(bytes, at, size, output.bytes, to);
      at += size;
      changed = true;
    }
    output.origins.fill(origin, first, to);
  }
  output.origins[to] = origins[at] as number;
  output.end = to;
  return { readTo: at, changed };
}

const notAnEscape = 0;
const incomplete = -1;

/** Length of the escape at `at`, where a `%` or `\` stands. */
function escapeSize(bytes: Uint8Array, at: number, end: number): number {
  const percent = bytes[at] === 37;
  if (!percent) {
    if (at + 1 >= end) return incomplete;
    const second = bytes[at + 1] as number;
    if (second !== 117) return shortEscapes[second] ? 2 : notAnEscape;
  }
  const size = percent ? 3 : 6;
  for (let i = at + (percent ? 1 : 2); i < at + size; i++) {
    if (i >= end) return incomplete;
    if (hexDigits[bytes[i] as number] === notHex) return notAnEscape;
  }
  return size;
}

function nextOf(bytes: Uint8Array, byte: number, from: number, end: number): number {
  const found = bytes.indexOf(byte, from);
  return found === -1 || found > end ? end : found;
}

function hexValue(bytes: Uint8Array, from: number, digits: number): number {
  let value = 0;
  for (let i = from; i < from + digits; i++) value = value * 16 + (hexDigits[bytes[i] as number] as number);
  return value;
}

/** Writes what the escape of this size at `at` means to index `to`; returns the index after it. */
function putMeaning(bytes: Uint8Array, at: number, size: number, output: Uint8Array, to: number): number {
  if (size === 3) output[to] = hexValue(bytes, at + 1, 2);
  else if (size === 2) output[to] = shortEscapes[bytes[at + 1] as number] as number;
  else return putUtf8(hexValue(bytes, at + 2, 4), output, to);
  return to + 1;
}

/** Halves of surrogate pairs come out as three bytes each; patterns are made to match (`encodedForms`). */
function putUtf8(code: number, output: Uint8Array, to: number): number {
  let end = to;
  if (code < 0x80) output[end++] = code;
  else if (code < 0x800) output[end++] = 0xc0 | (code >> 6);
  else {
    output[end++] = 0xe0 | (code >> 12);
    output[end++] = 0x80 | ((code >> 6) & 63);
  }
  if (code >= 0x80) output[end++] = 0x80 | (code & 63);
  return end;
}

const notHex = 255;
const hexDigits = Uint8Array.from({ length: 256 }, (_, byte) => {
  const value = Number.parseInt(String.fromCharCode(byte), 16);
  return Number.isNaN(value) ? notHex : value;
});

/** By the byte after the backslash: what the two stand for; 0 where they are no escape. */
const shortEscapes = Uint8Array.from({ length: 256 }, (_, byte) => {
  const meaning = { '"': 34, "\\": 92, "/": 47, b: 8, f: 12, n: 10, r: 13, t: 9 };
  return new Map(Object.entries(meaning)).get(String.fromCharCode(byte)) ?? 0;
});
