import { expect, test } from "bun:test";
import { type BodyFraming, requestFraming, responseFraming } from "./body.ts";
import { bytesOf } from "./pieces.fixture.ts";
import { readRequestHead } from "./request-head.ts";
import { readResponseHead } from "./response-head.ts";

function ofRequest(lines: string, version = "HTTP/1.1"): string {
  const read = readRequestHead(bytesOf(`POST / ${version}\r\nHost: a.example\r\n${lines}\r\n`));
  if (read.kind !== "head") throw new Error(JSON.stringify(read));
  const framing = requestFraming(read.head);
  return framing.ok ? inWords(framing.framing) : `${framing.bad.status} ${framing.bad.code}`;
}

function ofResponse(lines: string, statusLine = "HTTP/1.1 200 OK", method = "GET"): string {
  const read = readResponseHead(bytesOf(`${statusLine}\r\n${lines}\r\n`));
  if (read.kind !== "head") throw new Error(JSON.stringify(read));
  const framing = responseFraming(read.head, method);
  return framing.ok ? inWords(framing.framing) : "bad";
}

function inWords(framing: BodyFraming): string {
  return framing.kind === "length" ? `length ${framing.length}` : framing.kind;
}

test("a request's body is framed by one Content-Length or by `chunked`", () => {
  expect(ofRequest("")).toBe("none");
  expect(ofRequest("Content-Length: 0\r\n")).toBe("length 0");
  expect(ofRequest("content-length: 007\r\n")).toBe("length 7");
  expect(ofRequest(`Content-Length: ${2 ** 53 - 1}\r\n`)).toBe("length 9007199254740991");
  expect(ofRequest("Transfer-Encoding: chunked\r\n")).toBe("chunked");
  expect(ofRequest("Content-Length: 5\r\n", "HTTP/1.0")).toBe("length 5");
});

test("ATTACKS 26: a request whose body two readers could frame in two ways is refused", () => {
  const length = "Content-Length: 5\r\n";
  const coding = "Transfer-Encoding: chunked\r\n";
  const rows = [
    length + coding,
    coding + length,
    length + length,
    `${length}Content-Length: 6\r\n`,
    coding + coding,
    `${coding}Transfer-Encoding: identity\r\n`,
    ...["", "+5", "-5", "5, 5", "5,5", "0x5", "5 5", "5e1", "1_0", "\xb2", "5;"].map(
      (v) => `Content-Length: ${v}\r\n`,
    ),
    ...[
      "",
      "xchunked",
      "Chunked",
      "chunked, chunked",
      "gzip, chunked",
      "chunked;q=1",
      "chunked,",
      "identity",
    ].map((value) => `Transfer-Encoding: ${value}\r\n`),
  ];
  for (const lines of rows) expect([lines, ofRequest(lines)]).toEqual([lines, "400 bad-framing"]);
  expect(ofRequest(coding, "HTTP/1.0")).toBe("400 bad-framing");
});

test("a length that cannot be counted is 413", () => {
  expect(ofRequest(`Content-Length: ${2 ** 53}\r\n`)).toBe("413 body-too-large");
  expect(ofRequest(`Content-Length: ${"9".repeat(400)}\r\n`)).toBe("413 body-too-large");
});

test("a response's body is framed as RFC 9112 section 6.3 says", () => {
  expect(ofResponse("")).toBe("until-close");
  expect(ofResponse("", "HTTP/1.0 200 OK")).toBe("until-close");
  expect(ofResponse("Content-Length: 5\r\n", "HTTP/1.0 200 OK")).toBe("length 5");
  expect(ofResponse("Transfer-Encoding: Chunked\r\n")).toBe("chunked");
  expect(ofResponse("Content-Length: 5\r\nContent-Length: 5\r\n")).toBe("length 5");
});

test("what never has a body has none, whatever its headers say", () => {
  const lines = "Content-Length: 5\r\n";
  expect(ofResponse(lines, "HTTP/1.1 200 OK", "HEAD")).toBe("none");
  expect(ofResponse(lines, "HTTP/1.1 200 OK", "CONNECT")).toBe("none");
  expect(ofResponse(lines, "HTTP/1.1 407 No", "CONNECT")).toBe("length 5");
  for (const status of [100, 101, 103, 204, 304])
    expect(ofResponse(lines, `HTTP/1.1 ${status} x`)).toBe("none");
});

test("ATTACKS 37: a response whose body could be framed in two ways is refused", () => {
  const rows = [
    "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    "Content-Length: 5\r\nContent-Length: 6\r\n",
    "Content-Length: 5, 6\r\n",
    "Content-Length: -1\r\n",
    "Content-Length:\r\n",
    `Content-Length: ${2 ** 53}\r\n`,
    "Transfer-Encoding: gzip, chunked\r\n",
    "Transfer-Encoding: xchunked\r\n",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
  ];
  for (const lines of rows) expect([lines, ofResponse(lines)]).toEqual([lines, "bad"]);
  expect(ofResponse("Transfer-Encoding: chunked\r\n", "HTTP/1.0 200 OK")).toBe("bad");
});
