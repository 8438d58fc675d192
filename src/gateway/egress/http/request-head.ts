import type { DenyCode } from "../../../domain/egress.ts";
import {
  type Headers,
  headEnd,
  headersOf,
  isBrokenHead,
  latin1,
  maxHeadBytes,
  readHeaderLines,
} from "./header-lines.ts";

export { headerOf, maxHeadBytes } from "./header-lines.ts";

export interface RequestHead {
  method: string;
  /**
   * As sent: visible ASCII without `#`, but for a host beyond ASCII, which is UTF-8 on the wire and text here; which
   * form it has is for the caller to see.
   */
  target: string;
  /** Minor version: 0 or 1. */
  minor: 0 | 1;
  headers: Headers;
}

/** A request that cannot mean one thing, and the answer it gets. */
export interface Bad {
  status: 400 | 405 | 413 | 431 | 501 | 505;
  code: DenyCode;
  text: string;
}

/** The sender wants the connection closed after the answer. A client says it to a proxy in either header. */
export function wantsClose({ minor, headers }: RequestHead): boolean {
  const tokens = headers
    .filter(([name]) => /^(proxy-)?connection$/i.test(name))
    .flatMap(([, value]) => value.toLowerCase().split(","))
    .map((token) => token.trim());
  return tokens.includes("close") || (minor === 0 && !tokens.includes("keep-alive"));
}

export type HeadRead<Head> =
  | { kind: "more" }
  /** `length`: bytes of the input that the head took. */
  | { kind: "head"; head: Head; length: number }
  | { kind: "bad"; bad: Bad };

const maxTargetBytes = 16 * 1024;
const maxMethodBytes = 32;

/**
 * The head of a request at the beginning of `bytes` (RFC 9112 sections 2 to 5, without the leniency that it permits:
 * see `readHeaderLines`). What cannot become a head is refused as soon as it is seen, so that TLS, SOCKS or HTTP/0.9
 * need not wait for a time-out. `searchedFrom`: how many bytes an earlier call answered `more` to.
 */
export function readRequestHead(bytes: Uint8Array, searchedFrom = 0): HeadRead<RequestHead> {
  const length = headEnd(bytes, searchedFrom);
  if (length > maxHeadBytes) return tooLarge(`The head has more than ${maxHeadBytes} bytes.`);
  if (length === -1) return readPartialHead(bytes, searchedFrom);

  const text = latin1(bytes, 0, length - 2);
  const lineEnd = text.indexOf("\r\n");
  const line = readRequestLine(text.slice(0, lineEnd));
  if (line.kind === "bad") return line;
  const lines = readHeaderLines(text.slice(lineEnd + 2));
  if (!lines.ok) return lines.why === "too many" ? tooLarge(lines.text) : bad(400, "bad-request", lines.text);

  const head = { ...line.line, headers: lines.headers };
  const hosts = headersOf(head, "host");
  if (hosts.length > 1) return bad(400, "bad-host", "There is more than one Host header.");
  if (hosts[0] === "" || (hosts.length === 0 && head.minor === 1)) {
    return bad(400, "bad-host", "There is no Host header, or nothing in it.");
  }
  return { kind: "head", head, length };
}

type RequestLine = Omit<RequestHead, "headers">;

const linePattern = /^([A-Z][A-Z-]*) ([\x21\x22\x24-\x7e\x80-\xff]+) HTTP\/1\.([01])$/;
const authorityPattern = /^((?:[A-Za-z][A-Za-z0-9+.-]*:\/\/)?)([^/?]+)([\x21-\x7e]*)$/;
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Clients that know no IDNA send a name as it was typed (curl without libidn2). Undefined where a byte beyond ASCII
 * stands elsewhere than in the host, or in no UTF-8.
 */
function withNameRead(target: string): string | undefined {
  if (/^[\x21-\x7e]*$/.test(target)) return target;
  const [, scheme = "", authority, rest = ""] = authorityPattern.exec(target) ?? [];
  if (authority === undefined) return undefined;
  try {
    return `${scheme}${utf8.decode(Buffer.from(authority, "latin1"))}${rest}`;
  } catch {
    return undefined;
  }
}

function readRequestLine(line: string): { kind: "line"; line: RequestLine } | { kind: "bad"; bad: Bad } {
  const [, method, sent, minor] = linePattern.exec(line) ?? [];
  const target = sent === undefined ? undefined : withNameRead(sent);
  if (method === undefined || target === undefined) return bad(...whyNoRequestLine(line));
  if (method.length > maxMethodBytes) {
    return bad(400, "bad-request", `The method has more than ${maxMethodBytes} bytes.`);
  }
  if (target.length > maxTargetBytes) return tooLarge(`The target has more than ${maxTargetBytes} bytes.`);
  // RFC 9110 section 9.3.8: it would echo the headers, injected credentials with them.
  if (method === "TRACE") return bad(405, "method-not-supported", "TRACE is not passed on.");
  return { kind: "line", line: { method, target, minor: minor === "0" ? 0 : 1 } };
}

function whyNoRequestLine(line: string): [Bad["status"], DenyCode, string] {
  if (!methodStart.test(line)) return [400, "bad-request", whyNoMethod(line)];
  if (line === "PRI * HTTP/2.0") {
    return [400, "bad-request", "HTTP/2 in the clear is not spoken here; use HTTP/1.1."];
  }
  const version = / (HTTP\/[0-9]\.[0-9])$/.exec(line)?.[1];
  if (version === undefined) return [400, "bad-request", "The request line does not end in an HTTP version."];
  if (!/^HTTP\/1\.[01]$/.test(version)) {
    return [505, "bad-request", `${version} is not spoken here; use HTTP/1.1.`];
  }
  return [
    400,
    "bad-request",
    "The request's target holds a space, a control character, `#` or a byte outside of ASCII.",
  ];
}

const methodStart = /^[A-Z][A-Z-]{0,31}(?: |$)/;

function whyNoMethod(text: string): string {
  const first = text.charCodeAt(0);
  if (first === 0x16 || first >= 0x80) {
    return "This looks like TLS; the proxy itself is spoken to in the clear.";
  }
  if (first === 0x04 || first === 0x05) return "This looks like SOCKS; only HTTP is spoken here.";
  return "The request does not begin with a method.";
}

/** Longest request line that may pass, with its CRLF. */
const maxLineBytes = maxMethodBytes + 1 + maxTargetBytes + " HTTP/1.1\r\n".length;

function readPartialHead(bytes: Uint8Array, searchedFrom: number): HeadRead<RequestHead> {
  if (bytes.length === 0) return { kind: "more" };
  const start = latin1(bytes, 0, maxMethodBytes + 1);
  if (!methodStart.test(start)) return bad(400, "bad-request", whyNoMethod(start));
  if (isBrokenHead(bytes, searchedFrom)) {
    return bad(400, "bad-request", "The head holds a control character, or a CR or LF that stands alone.");
  }
  const lineFeed = bytes.indexOf(0x0a);
  if (lineFeed === -1 && bytes.length > maxLineBytes) {
    return tooLarge(`The request line has more than ${maxLineBytes} bytes.`);
  }
  if (lineFeed >= searchedFrom) {
    const line = readRequestLine(latin1(bytes, 0, lineFeed - 1));
    if (line.kind === "bad") return line;
  }
  if (bytes.length >= maxHeadBytes) return tooLarge(`The head has more than ${maxHeadBytes} bytes.`);
  return { kind: "more" };
}

function bad(status: Bad["status"], code: DenyCode, text: string): { kind: "bad"; bad: Bad } {
  return { kind: "bad", bad: { status, code, text } };
}

function tooLarge(text: string): { kind: "bad"; bad: Bad } {
  return bad(431, "head-too-large", text);
}
