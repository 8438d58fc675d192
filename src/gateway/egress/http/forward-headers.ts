import { plainName } from "../../../domain/request-reading.ts";
import type { BodyFraming } from "./body.ts";
import { type Headers, headersOf, notInValue } from "./header-lines.ts";
import type { ResponseHead } from "./response-head.ts";

/**
 * The head that goes upstream. Only what concerns the far end passes, in its order and case: not what belongs to one
 * connection (RFC 9110 section 7.6.1: hop-by-hop headers, those that Connection names, `Proxy-*`), not Expect, which
 * is answered here, not the sender's Host and framing, which are written anew.
 *
 * `path` in origin form or `*`. `host` as it stands in Host. `set` replaces headers of the same name or adds them,
 * and is stronger than `omit`; names in any case.
 *
 * @throws Error where `method`, `path`, `host` or `set` hold what would end a line: they did not come from a parser.
 */
export function requestBytes(input: {
  method: string;
  path: string;
  host: string;
  headers: Headers;
  framing: BodyFraming;
  set?: readonly (readonly [name: string, value: string])[];
  omit?: readonly string[];
}): Uint8Array {
  const { method, path, host, headers, framing, set = [], omit = [] } = input;
  if (!/^[\x21-\x7e]+ [\x21-\x7e]+ [\x21-\x7e]+$/.test(`${method} ${path} ${host}`)) {
    throw new Error("a request line or Host to be sent holds a space, a control character or nothing");
  }
  const left = new Set([...omit, ...set.map(([name]) => name)].map((name) => name.toLowerCase()));
  nominate(headers, left);
  let text = `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n`;
  text += endToEnd(headers, left);
  for (const [name, value] of set) {
    if (!/^[\w-]+$/.test(name) || notInValue.test(value) || ofOneConnection.has(name.toLowerCase())) {
      throw new Error(`the header to be set cannot be sent: ${JSON.stringify(name.slice(0, 64))}`);
    }
    text += `${name}: ${value}\r\n`;
  }
  return Buffer.from(`${text}${framingLine(framing)}\r\n`, "latin1");
}

/**
 * The head that goes back to the sandbox, cleaned like a request's. `framing` is that of the body as it is sent to
 * the sandbox: `chunked` only where `minor` (the version of the request) is 1, `until-close` only with `close`. With
 * `none` (HEAD, 304) the server's Content-Length is kept: it tells of the body that a GET would bring. `close`: the
 * connection is closed after this response.
 */
export function responseBytes(input: {
  head: ResponseHead;
  framing: BodyFraming;
  close: boolean;
  minor: 0 | 1;
}): Uint8Array {
  const { head, framing, close, minor } = input;
  const left = new Set<string>();
  nominate(head.headers, left);
  const reason = head.reason.replace(/[^\x20-\x7e]+/g, " ");
  let text = `HTTP/1.1 ${head.status} ${reason}\r\n${endToEnd(head.headers, left)}`;
  text += framing.kind === "none" ? announcedLength(head) : framingLine(framing);
  if (close) text += "Connection: close\r\n";
  else if (minor === 0) text += "Connection: keep-alive\r\n";
  return Buffer.from(`${text}\r\n`, "latin1");
}

/** Lower case. Never passed on, in either direction. */
const ofOneConnection: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "expect",
  "host",
  "http2-settings",
  "keep-alive",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Adds the names that Connection nominates (RFC 9110 section 7.6.1). */
function nominate(headers: Headers, names: Set<string>): void {
  for (const value of headersOf({ headers }, "connection")) {
    for (const name of value.toLowerCase().split(",")) names.add(name.trim());
  }
}

function endToEnd(headers: Headers, left: ReadonlySet<string>): string {
  let text = "";
  for (const [name, value] of headers) {
    const lower = name.toLowerCase();
    // `Content_Length` is a framing header for some.
    const plain = plainName(lower);
    if (ofOneConnection.has(plain) || left.has(plain) || left.has(lower) || plain.startsWith("proxy-")) {
      continue;
    }
    text += `${name}: ${value}\r\n`;
  }
  return text;
}

function framingLine(framing: BodyFraming): string {
  switch (framing.kind) {
    case "none":
    case "until-close":
      return "";
    case "length":
      return `Content-Length: ${framing.length}\r\n`;
    case "chunked":
      return "Transfer-Encoding: chunked\r\n";
  }
}

function announcedLength(head: ResponseHead): string {
  if (head.status < 200 || head.status === 204) return "";
  const [length, ...others] = headersOf(head, "content-length");
  return length !== undefined && others.length === 0 && /^[0-9]{1,16}$/.test(length)
    ? `Content-Length: ${length}\r\n`
    : "";
}
