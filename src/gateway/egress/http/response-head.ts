import {
  type Headers,
  headEnd,
  isBrokenHead,
  latin1,
  maxHeadBytes,
  readHeaderLines,
} from "./header-lines.ts";

export interface ResponseHead {
  /** 100 to 599. */
  status: number;
  /** May be empty. */
  reason: string;
  minor: 0 | 1;
  headers: Headers;
}

/** Unlike a request's, a bad head has no status of its own: whatever is wrong, the sandbox sees a 502. */
export type ResponseHeadRead =
  | { kind: "more" }
  /** `length`: bytes of the input that the head took. */
  | { kind: "head"; head: ResponseHead; length: number }
  | { kind: "bad"; why: string };

/**
 * The head of a response at the beginning of `bytes` (RFC 9112 section 4), as strict as that of a request; the space
 * before an empty reason phrase may be missing, as many servers leave it out. `searchedFrom`: how many bytes an
 * earlier call answered `more` to.
 */
export function readResponseHead(bytes: Uint8Array, searchedFrom = 0): ResponseHeadRead {
  const length = headEnd(bytes, searchedFrom);
  if (length > maxHeadBytes) return bad(tooLarge);
  if (length === -1) return readPartialHead(bytes, searchedFrom);

  const text = latin1(bytes, 0, length - 2);
  const lineEnd = text.indexOf("\r\n");
  const [, minor, status, reason] = linePattern.exec(text.slice(0, lineEnd)) ?? [];
  if (status === undefined) return bad(noStatusLine);
  const lines = readHeaderLines(text.slice(lineEnd + 2));
  if (!lines.ok) return bad(lines.text);
  const head: ResponseHead = {
    status: Number(status),
    reason: reason ?? "",
    minor: minor === "0" ? 0 : 1,
    headers: lines.headers,
  };
  return { kind: "head", head, length };
}

const linePattern = /^HTTP\/1\.([01]) ([1-5][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?$/;
const noStatusLine = "It does not begin with the status line of HTTP/1.";
const tooLarge = `Its head has more than ${maxHeadBytes} bytes.`;

function readPartialHead(bytes: Uint8Array, searchedFrom: number): ResponseHeadRead {
  // A status line's fixed part, as far as it is there: the template has a character for each place.
  const start = latin1(bytes, 0, startTemplate.length);
  if (!startPattern.test(start + startTemplate.slice(start.length))) return bad(noStatusLine);
  if (isBrokenHead(bytes, searchedFrom)) {
    return bad("Its head holds a control character, or a CR or LF that stands alone.");
  }
  if (bytes.length >= maxHeadBytes) return bad(tooLarge);
  return { kind: "more" };
}

const startTemplate = "HTTP/1.1 200 ";
const startPattern = /^HTTP\/1\.[01] [1-5][0-9]{2}[ \r]$/;

function bad(why: string): ResponseHeadRead {
  return { kind: "bad", why };
}
