import { bytesText } from "../../domain/amounts.ts";
import type { AccessRequestState, DenyCode } from "../../domain/egress.ts";

/** Why something does not pass, and how the sandbox is told. */
export interface Refusal {
  status: number;
  code: DenyCode;
  /** A sentence fragment without a full stop: what was refused and why. */
  text: string;
  /** What a person was asked; undefined where no person can help. */
  access?: AccessRequestState;
  /** What stood where a host belongs, as it came; for the ledger, escaped. */
  about?: string;
}

const statusTexts: Record<number, string> = {
  400: "Bad Request",
  403: "Forbidden",
  405: "Method Not Allowed",
  408: "Request Timeout",
  413: "Content Too Large",
  421: "Misdirected Request",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  501: "Not Implemented",
  502: "Bad Gateway",
  504: "Gateway Timeout",
  505: "HTTP Version Not Supported",
};

const statusOf: Record<DenyCode, number> = {
  "bad-request": 400,
  "bad-host": 400,
  "bad-framing": 400,
  "method-not-supported": 405,
  "head-too-large": 431,
  "body-too-large": 413,
  "too-slow": 408,
  "no-egress": 403,
  "host-not-allowed": 403,
  "host-denied": 403,
  "port-not-allowed": 403,
  "method-not-allowed": 403,
  "path-not-allowed": 403,
  "read-only": 403,
  "foreign-credential": 403,
  "address-not-allowed": 403,
  "secret-found": 403,
  "upload-budget": 403,
  "not-tls": 400,
  "sni-mismatch": 421,
  misdirected: 421,
  "too-many-requests": 429,
  "too-many-connections": 429,
  "too-many-names": 429,
  "name-not-found": 502,
  unreachable: 502,
  "bad-answer": 502,
  timeout: 504,
  "policy-changed": 403,
};

export function refusalOf(code: DenyCode, text: string): Refusal {
  return { status: statusOf[code], code, text };
}

/** `size`: what the body has, as text; `most`: bytes that it may have. */
export function bodyTooLarge(size: string, most: number): Refusal {
  const text = `one request may carry ${bytesText(most)}, and its body has ${size}: send it in parts, or have a person raise the environment's limit`;
  return refusalOf("body-too-large", text);
}

const accessTexts: Record<AccessRequestState, string> = {
  asked:
    "A person was asked to allow it. Go on with something else; the same request works once it is granted.",
  denied: "A person was asked and has denied it. Do not try again; find another way.",
  "not-asked": "Nobody was asked, since many requests for access wait already.",
};

/** The whole answer. `host` is canonical text of the appliance's own making. */
export function refusalBytes(
  refusal: Refusal,
  target: string,
  options: { close: boolean; head?: boolean },
): Uint8Array {
  const { status, code, text, access } = refusal;
  const body = [
    `ccw-server refused ${target === "" ? "this request" : target}: ${text.replace(/\.$/, "")}.`,
    `Reason: ${code}.`,
    ...(access === undefined ? [] : [accessTexts[access]]),
    "",
  ].join("\n");
  const lines = [
    // Of a refusal npm, pip and git print the status line alone.
    `HTTP/1.1 ${status} ${statusTexts[status] ?? "Refused"} (ccw-server: ${code})`,
    `X-Deny-Reason: ${code}`,
    ...(target === "" ? [] : [`X-Deny-Host: ${target}`]),
    ...(access === undefined ? [] : [`X-Access-Request: ${access}`]),
    "Content-Type: text/plain; charset=utf-8",
    `Content-Length: ${Buffer.byteLength(body)}`,
    `Connection: ${options.close ? "close" : "keep-alive"}`,
  ];
  return Buffer.from(`${lines.join("\r\n")}\r\n\r\n${options.head === true ? "" : body}`);
}

/** Anything the sandbox wrote, as printable ASCII of bounded length: for a log, a ledger, a header. */
export function shown(text: string, length = 300): string {
  const cut = text.length > length ? `${text.slice(0, length)}…` : text;
  return cut.replace(/[^\x21-\x7e]/gu, (char) => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`);
}
