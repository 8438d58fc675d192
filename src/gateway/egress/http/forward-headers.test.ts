import { expect, test } from "bun:test";
import fc from "../../../../test/properties.ts";
import type { BodyFraming } from "./body.ts";
import { requestFraming, responseFraming } from "./body.ts";
import { requestBytes, responseBytes } from "./forward-headers.ts";
import type { Headers } from "./header-lines.ts";
import { bytesOf, fieldValue, textOf, token } from "./pieces.fixture.ts";
import { readRequestHead } from "./request-head.ts";
import { readResponseHead } from "./response-head.ts";

const none: BodyFraming = { kind: "none" };
const base = { method: "GET", path: "/x?y", host: "a.example:8080", framing: none };

function sent(headers: Headers, more: Partial<Parameters<typeof requestBytes>[0]> = {}): string {
  return textOf(requestBytes({ ...base, headers, ...more }));
}

test("the head upstream has the given path and host, and the other headers in order and case", () => {
  expect(
    sent([
      ["User-Agent", "x"],
      ["HOST", "evil.example"],
      ["accept", "*/*"],
      ["X-a", "1"],
      ["x-A", "2"],
    ]),
  ).toBe(
    "GET /x?y HTTP/1.1\r\nHost: a.example:8080\r\nUser-Agent: x\r\naccept: */*\r\nX-a: 1\r\nx-A: 2\r\n\r\n",
  );
});

test("ATTACKS 27: hop-by-hop, nominated and Proxy- headers and Expect do not pass", () => {
  const headers: Headers = [
    ["Connection", "close, X-Hop ,x-other"],
    ["connection", "Te"],
    ["Keep-Alive", "timeout=5"],
    ["Proxy-Authorization", "Basic eDp5"],
    ["Proxy-Connection", "keep-alive"],
    ["proxy-anything", "x"],
    ["TE", "trailers"],
    ["Trailer", "X"],
    ["Transfer-Encoding", "chunked"],
    ["Content-Length", "5"],
    ["Upgrade", "h2c"],
    ["HTTP2-Settings", "AAAA"],
    ["Expect", "100-continue"],
    ["x-hop", "1"],
    ["X-Other", "1"],
    ["X-Kept", "1"],
  ];
  expect(sent(headers)).toBe("GET /x?y HTTP/1.1\r\nHost: a.example:8080\r\nX-Kept: 1\r\n\r\n");
});

test("ATTACKS 26: a framing or hop-by-hop header in the spelling of CGI does not pass either", () => {
  const headers: Headers = [
    ["Content_Length", "5"],
    ["Transfer_Encoding", "chunked"],
    ["Proxy_Authorization", "x"],
    ["X_Kept", "1"],
  ];
  expect(sent(headers)).toBe("GET /x?y HTTP/1.1\r\nHost: a.example:8080\r\nX_Kept: 1\r\n\r\n");
});

test("the framing is written anew", () => {
  const headers: Headers = [["Content-Length", "007"]];
  expect(sent(headers, { framing: { kind: "length", length: 7 } })).toEndWith(
    "\r\nContent-Length: 7\r\n\r\n",
  );
  expect(sent(headers, { framing: { kind: "length", length: 0 } })).toEndWith(
    "\r\nContent-Length: 0\r\n\r\n",
  );
  expect(sent(headers, { framing: { kind: "chunked" } })).toBe(
    "GET /x?y HTTP/1.1\r\nHost: a.example:8080\r\nTransfer-Encoding: chunked\r\n\r\n",
  );
});

test("ATTACKS 40: a header that is set replaces every one of its name that was sent, nominated or not", () => {
  const headers: Headers = [
    ["authorization", "Bearer mine"],
    ["AUTHORIZATION", "Bearer mine"],
    ["X_Api_Key", "mine"],
    ["Connection", "Authorization"],
  ];
  const set = [
    ["Authorization", "Bearer theirs"],
    ["X-Api-Key", "theirs"],
  ] as const;
  expect(sent(headers, { set })).toBe(
    "GET /x?y HTTP/1.1\r\nHost: a.example:8080\r\nAuthorization: Bearer theirs\r\nX-Api-Key: theirs\r\n\r\n",
  );
});

test("headers named in `omit` do not pass", () => {
  const headers: Headers = [
    ["Cookie", "a"],
    ["My_Token", "b"],
    ["Accept", "c"],
  ];
  expect(sent(headers, { omit: ["COOKIE", "my_token"] })).toBe(
    "GET /x?y HTTP/1.1\r\nHost: a.example:8080\r\nAccept: c\r\n\r\n",
  );
});

test("ATTACKS 43: what would end a line is never sent", () => {
  for (const value of ["a\r\nX: y", "a\nb", "a\0", "\u010a", "\u{1f600}"]) {
    expect(() => sent([], { set: [["X-Key", value]] })).toThrow("cannot be sent");
  }
  for (const name of [
    "",
    "X Y",
    "X:",
    "X\r\nY",
    "Host",
    "Content-Length",
    "Transfer-Encoding",
    "connection",
  ]) {
    expect(() => sent([], { set: [[name, "v"]] })).toThrow("cannot be sent");
  }
  for (const more of [
    { path: "/a b" },
    { path: "" },
    { path: "/\r\n" },
    { host: "a\r\nX: y" },
    { host: "" },
    { method: "G T" },
    { path: "/\u010a" },
  ]) {
    expect(() => sent([], more)).toThrow("request line");
  }
});

const headers = fc.array(
  fc.tuple(
    token.filter((name) => !/^(te|host)$|_/i.test(name)),
    fieldValue,
  ),
  { maxLength: 12 },
);
const framings: fc.Arbitrary<BodyFraming> = fc.oneof(
  fc.constant<BodyFraming>({ kind: "none" }),
  fc.constant<BodyFraming>({ kind: "chunked" }),
  fc.maxSafeNat().map((length): BodyFraming => ({ kind: "length", length })),
);

test("the head upstream is understood as it was meant", () => {
  fc.assert(
    fc.property(headers, framings, (fields, framing) => {
      const bytes = requestBytes({ ...base, headers: fields, framing });
      const read = readRequestHead(bytes);
      if (read.kind !== "head") throw new Error(JSON.stringify(read));
      expect(read).toMatchObject({ length: bytes.length, head: { method: "GET", target: "/x?y", minor: 1 } });
      expect(requestFraming(read.head)).toEqual({ ok: true, framing });
      const added = framing.kind === "none" ? 0 : 1;
      expect(read.head.headers.slice(1, read.head.headers.length - added)).toEqual(fields);
      // Again through the same: nothing changes any more.
      expect(textOf(requestBytes({ ...base, headers: read.head.headers, framing }))).toBe(textOf(bytes));
    }),
  );
});

function answered(
  statusLine: string,
  lines: string,
  more: Partial<Parameters<typeof responseBytes>[0]> = {},
): string {
  const read = readResponseHead(bytesOf(`${statusLine}\r\n${lines}\r\n`));
  if (read.kind !== "head") throw new Error(JSON.stringify(read));
  return textOf(responseBytes({ head: read.head, framing: none, close: false, minor: 1, ...more }));
}

test("the head for the sandbox is cleaned too, with cookies kept apart", () => {
  const lines =
    "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\nX-Hop: 1\r\n" +
    "Proxy-Authenticate: Basic\r\nUpgrade: h2\r\nTrailer: X\r\nTransfer-Encoding: chunked\r\nserver: x\r\n";
  expect(answered("HTTP/1.0 200 Fine", lines, { framing: { kind: "chunked" } })).toBe(
    "HTTP/1.1 200 Fine\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nserver: x\r\nTransfer-Encoding: chunked\r\n\r\n",
  );
});

test("Connection says whether the connection lives on, where the version does not", () => {
  const framing: BodyFraming = { kind: "length", length: 3 };
  const head = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n";
  expect(answered("HTTP/1.1 200 OK", "", { framing })).toBe(`${head}\r\n`);
  expect(answered("HTTP/1.1 200 OK", "", { framing, close: true })).toBe(`${head}Connection: close\r\n\r\n`);
  expect(answered("HTTP/1.1 200 OK", "", { framing, minor: 0 })).toBe(
    `${head}Connection: keep-alive\r\n\r\n`,
  );
  expect(answered("HTTP/1.1 200 OK", "", { framing: { kind: "until-close" }, close: true, minor: 0 })).toBe(
    "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
  );
});

test("where there is no body, the length that the server announces is kept, if it is one", () => {
  const length = "Content-Length: 5\r\n";
  expect(answered("HTTP/1.1 200 OK", length)).toBe(`HTTP/1.1 200 OK\r\n${length}\r\n`);
  expect(answered("HTTP/1.1 304 Same", length)).toBe(`HTTP/1.1 304 Same\r\n${length}\r\n`);
  expect(answered("HTTP/1.1 200 OK", length + length)).toBe("HTTP/1.1 200 OK\r\n\r\n");
  expect(answered("HTTP/1.1 200 OK", "Content-Length: x\r\n")).toBe("HTTP/1.1 200 OK\r\n\r\n");
  expect(answered("HTTP/1.1 204 None", length)).toBe("HTTP/1.1 204 None\r\n\r\n");
  expect(answered("HTTP/1.1 100 Go on", length)).toBe("HTTP/1.1 100 Go on\r\n\r\n");
});

test("a reason phrase reaches the sandbox in printable ASCII", () => {
  expect(answered("HTTP/1.1 200 caf\xe9\x9b\tx", "")).toBe("HTTP/1.1 200 caf x\r\n\r\n");
  const made = { status: 403, reason: "a\r\nX: y", minor: 1, headers: [] } as const;
  expect(textOf(responseBytes({ head: made, framing: none, close: false, minor: 1 }))).toBe(
    "HTTP/1.1 403 a X: y\r\n\r\n",
  );
});

test("the head for the sandbox is understood as it was meant", () => {
  fc.assert(
    fc.property(
      headers,
      framings.filter(({ kind }) => kind !== "none"),
      fc.boolean(),
      (fields, framing, close) => {
        const head = { status: 200, reason: "OK", minor: 1, headers: fields } as const;
        const bytes = responseBytes({ head, framing, close, minor: 1 });
        const read = readResponseHead(bytes);
        if (read.kind !== "head") throw new Error(JSON.stringify(read));
        expect(read.length).toBe(bytes.length);
        expect(responseFraming(read.head, "GET")).toEqual({ ok: true, framing });
        expect(read.head.headers.slice(0, fields.length)).toEqual(fields);
      },
    ),
  );
});
