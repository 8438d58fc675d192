import { latin1 } from "./http/header-lines.ts";

export const noServerName = "no server name";

export type HelloRead =
  | { kind: "more" }
  /** `serverName` in lower case, else as sent: for the caller to compare. `alpn` in the client's order. */
  | { kind: "hello"; serverName: string; alpn: string[] }
  | { kind: "bad"; why: string };

/** A TLS record holds no more (RFC 8446 section 5.1); a hello with post-quantum key shares has about 2 KiB. */
const maxHelloBytes = 16 * 1024;
const recordHeaderBytes = 5;
const messageHeaderBytes = 4;

/**
 * Whom a TLS client says it wants to speak to: the ClientHello at the beginning of `bytes` (RFC 8446 section 4.1.2).
 * It may come in any number of TCP segments, but in one TLS record: a hello cut into several records is a known way
 * past filters. What cannot become a hello is refused as soon as it is seen.
 */
export function readClientHello(bytes: Uint8Array): HelloRead {
  const why = whyNoRecord(bytes);
  if (why !== undefined) return bad(why);
  if (bytes.length < recordHeaderBytes) return { kind: "more" };
  const length = numberAt(bytes, 3, 2);
  if (bytes.length < recordHeaderBytes + length) return { kind: "more" };
  return readHello(bytes.subarray(recordHeaderBytes + messageHeaderBytes, recordHeaderBytes + length));
}

/** Looks at what is there of the headers of record and message: type, version, lengths. */
function whyNoRecord(bytes: Uint8Array): string | undefined {
  const [type = 0x16, major = 3, minor = 1] = bytes;
  if (type !== 0x16 || major !== 3 || minor > 3) return "not TLS";
  if (bytes.length < recordHeaderBytes) return undefined;
  const recordBytes = numberAt(bytes, 3, 2);
  if (recordBytes > maxHelloBytes) return "larger than 16 KiB";
  if (recordBytes < messageHeaderBytes) return "client hello in several TLS records";
  if (bytes.length > recordHeaderBytes && bytes[recordHeaderBytes] !== 1) return "not a client hello";
  if (bytes.length < recordHeaderBytes + messageHeaderBytes) return undefined;
  const messageBytes = messageHeaderBytes + numberAt(bytes, recordHeaderBytes + 1, 3);
  if (messageBytes > maxHelloBytes) return "larger than 16 KiB";
  if (messageBytes > recordBytes) return "client hello in several TLS records";
  if (messageBytes < recordBytes) return "more than a client hello in its TLS record";
  return undefined;
}

const extension = { serverName: 0, alpn: 16 } as const;
/** ECH (RFC 9849) and the drafts before it, whose clients still exist; the last is ESNI. */
const encryptedHello: ReadonlySet<number> = new Set([0xfe0d, 0xfe0c, 0xfe0b, 0xfe0a, 0xfe09, 0xfe08, 0xffce]);

function readHello(hello: Uint8Array): HelloRead {
  const fields = createCursor(hello);
  const version = fields.number(2);
  fields.bytes(32); // random
  const session = fields.vector(1);
  const ciphers = fields.vector(2);
  const compressions = fields.vector(1);
  if (fields.short() || version >> 8 !== 3 || session.length > 32) return bad(malformed);
  if (ciphers.length === 0 || ciphers.length % 2 !== 0 || compressions.length === 0) return bad(malformed);
  if (fields.left() === 0) return bad(noServerName);
  const extensions = createCursor(fields.vector(2));
  if (fields.short() || fields.left() > 0) return bad(malformed);

  const found = new Map<number, Uint8Array>();
  while (extensions.left() > 0) {
    const type = extensions.number(2);
    const body = extensions.vector(2);
    if (extensions.short()) return bad(malformed);
    if (found.has(type)) return bad(type === extension.serverName ? "several server names" : malformed);
    if (encryptedHello.has(type)) return bad("encrypted client hello");
    found.set(type, body);
  }
  return readNames(found.get(extension.serverName), found.get(extension.alpn));
}

function readNames(serverNames: Uint8Array | undefined, protocols: Uint8Array | undefined): HelloRead {
  if (serverNames === undefined) return bad(noServerName);
  const name = readServerName(serverNames);
  if (!name.ok) return bad(name.why);
  const alpn = protocols === undefined ? [] : readProtocols(protocols);
  if (alpn === undefined) return bad(malformed);
  return { kind: "hello", serverName: name.text, alpn };
}

/** RFC 6066 section 3. A list in its form, but of one host name: servers differ in which of several they take. */
function readServerName(body: Uint8Array): { ok: true; text: string } | { ok: false; why: string } {
  const outer = createCursor(body);
  const list = createCursor(outer.vector(2));
  if (outer.short() || outer.left() > 0) return { ok: false, why: malformed };
  const type = list.number(1);
  const name = list.vector(2);
  if (list.short() || type !== 0) return { ok: false, why: malformed };
  if (list.left() > 0) return { ok: false, why: "several server names" };
  const text = latin1(name, 0, name.length);
  if (!/^[0-9A-Za-z_.:-]{1,255}$/.test(text)) return { ok: false, why: "server name is not a host" };
  return { ok: true, text: text.toLowerCase() };
}

/** RFC 7301 section 3.1. */
function readProtocols(body: Uint8Array): string[] | undefined {
  const outer = createCursor(body);
  const list = createCursor(outer.vector(2));
  if (outer.short() || outer.left() > 0 || list.left() === 0) return undefined;
  const protocols: string[] = [];
  while (list.left() > 0) {
    const protocol = list.vector(1);
    if (list.short() || protocol.length === 0) return undefined;
    protocols.push(latin1(protocol, 0, protocol.length));
  }
  return protocols;
}

const malformed = "malformed client hello";

function bad(why: string): HelloRead {
  return { kind: "bad", why };
}

/** Reads fields one after the other. Behind the end it gives zeros and nothing, and says so with `short`. */
function createCursor(bytes: Uint8Array) {
  let at = 0;
  let isShort = false;
  const take = (count: number): Uint8Array => {
    if (at + count > bytes.length) {
      isShort = true;
      at = bytes.length;
      return bytes.subarray(at);
    }
    at += count;
    return bytes.subarray(at - count, at);
  };
  const number = (size: number) => {
    const field = take(size);
    return numberAt(field, 0, field.length);
  };
  return {
    /** Big-endian, of `size` bytes. */
    number,
    bytes: take,
    /** Bytes with their length, a number of `size` bytes, before them. */
    vector: (size: number) => take(number(size)),
    left: () => bytes.length - at,
    short: () => isShort,
  };
}

function numberAt(bytes: Uint8Array, at: number, size: number): number {
  let value = 0;
  for (let index = at; index < at + size; index++) value = value * 256 + (bytes[index] ?? 0);
  return value;
}
