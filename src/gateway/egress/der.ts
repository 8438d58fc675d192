/**
 * The few ASN.1 types of a certificate, in the distinguished encoding (X.690, section 10). It only writes: what other
 * people have encoded is read by the runtime's own TLS library.
 */

export type Der = Uint8Array;

export const sequence = (...parts: Der[]): Der => element(0x30, ...parts);
export const set = (...parts: Der[]): Der => element(0x31, ...parts);
export const boolean = (value: boolean): Der => element(0x01, Uint8Array.of(value ? 0xff : 0));
export const utf8 = (text: string): Der => element(0x0c, Buffer.from(text, "utf8"));
export const octets = (content: Der): Der => element(0x04, content);

/** Big-endian and not negative, of any length. */
export function integer(bytes: Uint8Array): Der {
  const first = bytes.findIndex((byte) => byte !== 0);
  const digits = first === -1 ? Uint8Array.of(0) : bytes.subarray(first);
  // A leading bit that is set would make it negative.
  return element(0x02, ...((digits[0] ?? 0) >= 0x80 ? [Uint8Array.of(0)] : []), digits);
}

export function bits(content: Der, unused = 0): Der {
  return element(0x03, Uint8Array.of(unused), content);
}

/** Dotted, as in `1.2.840.10045.4.3.2`. */
export function objectId(dotted: string): Der {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  return element(0x06, ...[first * 40 + second, ...rest].map(base128));
}

/** To the second, in UTC: two digits of the year until 2049, four from then on (RFC 5280, section 4.1.2.5). */
export function time(at: number): Der {
  const date = new Date(at);
  const digits = `${date.toISOString().replace(/\.\d+Z$|\D/g, "")}Z`;
  return date.getUTCFullYear() < 2050
    ? element(0x17, Buffer.from(digits.slice(2), "latin1"))
    : element(0x18, Buffer.from(digits, "latin1"));
}

/** `[number]`, around other elements. */
export const explicit = (number: number, ...parts: Der[]): Der => element(0xa0 + number, ...parts);
/** `[number]`, in place of a plain type's own tag. */
export const implicit = (number: number, content: Der): Der => element(0x80 + number, content);

function element(tag: number, ...parts: Der[]): Der {
  const content = Buffer.concat(parts);
  return Buffer.concat([Uint8Array.of(tag), lengthOf(content.length), content]);
}

function lengthOf(length: number): Der {
  if (length < 0x80) return Uint8Array.of(length);
  const digits = Buffer.from(length.toString(16).padStart(length > 0xff ? 4 : 2, "0"), "hex");
  return Buffer.concat([Uint8Array.of(0x80 + digits.length), digits]);
}

function base128(value: number): Der {
  const digits = [value & 0x7f];
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) digits.unshift((rest & 0x7f) | 0x80);
  return Uint8Array.from(digits);
}
