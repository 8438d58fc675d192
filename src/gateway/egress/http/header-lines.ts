/** Name as sent, value without the white space around it. One character is one byte (latin1). */
export type Headers = readonly (readonly [name: string, value: string])[];

/** Of one head, with its first line and the empty line that ends it. */
export const maxHeadBytes = 64 * 1024;
const maxHeaders = 200;

type HeaderLines =
  | { ok: true; headers: Headers }
  | { ok: false; why: "malformed" | "too many"; text: string };

/** The first value of a header; `lowerName` in lower case. */
export function headerOf(head: { headers: Headers }, lowerName: string): string | undefined {
  for (const [name, value] of head.headers) {
    if (name.length === lowerName.length && name.toLowerCase() === lowerName) return value;
  }
  return undefined;
}

/** Every value of a header, in order; `lowerName` in lower case. */
export function headersOf(head: { headers: Headers }, lowerName: string): string[] {
  const values: string[] = [];
  for (const [name, value] of head.headers) {
    if (name.length === lowerName.length && name.toLowerCase() === lowerName) values.push(value);
  }
  return values;
}

/**
 * Header lines as in RFC 9112 section 5, each ended by CRLF, none of them empty. Refused where the RFC leaves a
 * choice: obs-fold, white space before the colon, a bare CR or LF, control characters. `text` is latin1.
 */
export function readHeaderLines(text: string): HeaderLines {
  const headers: (readonly [string, string])[] = [];
  let at = 0;
  while (at < text.length) {
    const end = text.indexOf("\r\n", at);
    const colon = text.indexOf(":", at);
    if (isBlank(text.charCodeAt(at))) {
      return malformed("A header line begins with white space; folded lines are not taken.");
    }
    if (end === -1 || colon === -1 || colon > end) return malformed("A header line has no colon.");
    const name = text.slice(at, colon);
    if (!tokenPattern.test(name)) return malformed(whyNoName(name));
    const value = trimmed(text, colon + 1, end);
    if (notInValue.test(value)) {
      return malformed("A header's value holds a control character or a bare CR or LF.");
    }
    if (headers.length === maxHeaders) {
      return { ok: false, why: "too many", text: `There are more than ${maxHeaders} headers.` };
    }
    headers.push([name, value]);
    at = end + 2;
  }
  return { ok: true, headers };
}

/**
 * Where the head ends, in bytes, with its empty line; -1 where it does not yet. `searchedFrom` is the count of bytes
 * that an earlier call has seen, so that a head which trickles in is not searched again and again.
 */
export function headEnd(bytes: Uint8Array, searchedFrom: number): number {
  const found = viewOf(bytes).indexOf(emptyLine, Math.max(0, searchedFrom - 3));
  return found === -1 ? -1 : found + emptyLine.length;
}

/** True where the bytes after `searchedFrom` can be in no head: a control character, or a CR or LF that stands alone. */
export function isBrokenHead(bytes: Uint8Array, searchedFrom: number): boolean {
  return brokenHead.test(latin1(bytes, Math.max(0, searchedFrom - 1), bytes.length));
}

/** One character a byte, whatever the byte. */
export function latin1(bytes: Uint8Array, from: number, to: number): string {
  return viewOf(bytes).toString("latin1", from, to);
}

export function viewOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** RFC 9110 section 5.6.2. */
const tokenPattern = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** RFC 9110 section 5.5: visible characters, space, tab, and obs-text, which passes through as it is. */
export const notInValue = /[^\t\x20-\x7e\x80-\xff]/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for.
const brokenHead = /[^\r]\n|\r[^\n]|[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/;
const emptyLine = Buffer.from("\r\n\r\n");

function malformed(text: string): HeaderLines {
  return { ok: false, why: "malformed", text };
}

function whyNoName(name: string): string {
  if (/[ \t]$/.test(name)) return "There is white space between a header's name and its colon.";
  return "A header's name holds a character that no name may have.";
}

/** Not `trim()`: that takes 0xa0 for white space, which is a byte of the value. */
function trimmed(text: string, from: number, to: number): string {
  let first = from;
  let last = to;
  while (first < last && isBlank(text.charCodeAt(first))) first++;
  while (last > first && isBlank(text.charCodeAt(last - 1))) last--;
  return text.slice(first, last);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
