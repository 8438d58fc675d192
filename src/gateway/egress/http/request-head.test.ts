import { expect, test } from "bun:test";
import fc from "../../../../test/properties.ts";
import { bytesOf, cuts, fieldValue, token, trickled } from "./pieces.fixture.ts";
import { headerOf, maxHeadBytes, readRequestHead } from "./request-head.ts";

function read(text: string) {
  return readRequestHead(bytesOf(text));
}

/** `more`, the status of a refusal with its code, or what was understood. */
function verdict(text: string): string {
  const answer = read(text);
  switch (answer.kind) {
    case "more":
      return "more";
    case "bad":
      return `${answer.bad.status} ${answer.bad.code}`;
    case "head":
      return `${answer.head.method} ${answer.head.target} HTTP/1.${answer.head.minor}`;
  }
}

const host = "Host: a.example\r\n";

const cases: Record<string, [bytes: string, verdict: string][]> = {
  "an ordinary request is understood": [
    [`GET http://a.example/x HTTP/1.1\r\n${host}\r\n`, "GET http://a.example/x HTTP/1.1"],
    [`CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n`, "CONNECT a.example:443 HTTP/1.1"],
    ["GET /session HTTP/1.0\r\n\r\n", "GET /session HTTP/1.0"],
    [`OPTIONS * HTTP/1.1\r\n${host}\r\n`, "OPTIONS * HTTP/1.1"],
    [`VERSION-CONTROL / HTTP/1.1\r\n${host}\r\n`, "VERSION-CONTROL / HTTP/1.1"],
    [`GET /?q=a|b{}"\\^ HTTP/1.1\r\n${host}\r\n`, 'GET /?q=a|b{}"\\^ HTTP/1.1'],
    [`GET / HTTP/1.1\r\nhOsT:a.example\r\nEmpty:\r\nX: \t a\tb \t\r\n\r\n`, "GET / HTTP/1.1"],
  ],
  "ATTACKS 24: another protocol's first bytes are refused as soon as they are seen": [
    ["\x16", "400 bad-request"],
    ["\x16\x03\x01\x02\x00\x01", "400 bad-request"],
    ["\x80\x2e\x01", "400 bad-request"],
    ["\x05\x01\x00", "400 bad-request"],
    ["\x04\x01\x00\x50", "400 bad-request"],
    ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400 bad-request"],
    ["PRI * HTTP/2.0\r\n", "400 bad-request"],
    ["GET /\r\n", "400 bad-request"],
    ["GET /\n", "400 bad-request"],
    ["GET / \r\n", "400 bad-request"],
    ["SSH-2.0-OpenSSH_9.2\r\n", "400 bad-request"],
    ["EHLO a.example\r\n", "400 bad-request"],
    ["\0", "400 bad-request"],
    ["\r\n", "400 bad-request"],
    [" GET", "400 bad-request"],
    ["{", "400 bad-request"],
    ["get", "400 bad-request"],
    ["GeT / HTTP/1.1", "400 bad-request"],
    ["A".repeat(33), "400 bad-request"],
    [`${"A".repeat(33)} / HTTP/1.1\r\n${host}\r\n`, "400 bad-request"],
  ],
  "ATTACKS 24: other versions are refused": [
    [`GET / HTTP/2.0\r\n${host}\r\n`, "505 bad-request"],
    [`GET / HTTP/1.2\r\n${host}\r\n`, "505 bad-request"],
    [`GET / HTTP/0.9\r\n`, "505 bad-request"],
    [`GET / HTTP/1.01\r\n`, "400 bad-request"],
    [`GET / http/1.1\r\n`, "400 bad-request"],
    [`GET / HTTP/1.1 \r\n`, "400 bad-request"],
    [`GET / HTTP/1,1\r\n`, "400 bad-request"],
  ],
  "ATTACKS 25: TRACE is 405": [
    [`TRACE http://a.example/ HTTP/1.1\r\n${host}\r\n`, "405 method-not-supported"],
    ["TRACE / HTTP/1.1\r\n", "405 method-not-supported"],
  ],
  "ATTACKS 5: what no target can hold is refused before anything looks at the host": [
    [`GET http://a.example\0/ HTTP/1.1\r\n${host}\r\n`, "400 bad-request"],
    [`GET http://a\t.example/ HTTP/1.1\r\n${host}\r\n`, "400 bad-request"],
    [`GET http://a.example/ x HTTP/1.1\r\n${host}\r\n`, "400 bad-request"],
    [`GET  http://a.example/ HTTP/1.1\r\n${host}\r\n`, "400 bad-request"],
    [`GET http://a.example/\x7f HTTP/1.1\r\n${host}\r\n`, "400 bad-request"],
    [`GET http://a.example/\xe9 HTTP/1.1\r\n${host}\r\n`, "400 bad-request"],
    [`GET http://a.example/#x HTTP/1.1\r\n${host}\r\n`, "400 bad-request"],
    [`GET http://a.example/\rx HTTP/1.1\r\n${host}\r\n`, "400 bad-request"],
  ],
  "ATTACKS 26: a bare CR or LF is refused, at once": [
    [`GET / HTTP/1.1\nHost: a.example\n\n`, "400 bad-request"],
    [`GET / HTTP/1.1\r\nHost: a.example\n\r\n`, "400 bad-request"],
    [`GET / HTTP/1.1\r\nHost: a.example\n`, "400 bad-request"],
    [`GET / HTTP/1.1\r\nHost: a\rb\r\n`, "400 bad-request"],
    [`GET / HTTP/1.1\r\nHost: a\r\r\n\r\n`, "400 bad-request"],
    [`GET / HTTP/1.1\r\n${host}\n\nGET /evil HTTP/1.1\r\n\r\n`, "400 bad-request"],
    [`GET / HTTP/1.1\r\r\n${host}\r\n`, "400 bad-request"],
  ],
  "ATTACKS 26: folded lines, white space before the colon and names that are no token are refused": [
    [`GET / HTTP/1.1\r\n${host}X: a\r\n b\r\n\r\n`, "400 bad-request"],
    [`GET / HTTP/1.1\r\n${host}X: a\r\n\tb: c\r\n\r\n`, "400 bad-request"],
    [`GET / HTTP/1.1\r\n Host: a.example\r\n\r\n`, "400 bad-request"],
    [`GET / HTTP/1.1\r\nHost : a.example\r\n\r\n`, "400 bad-request"],
    [`GET / HTTP/1.1\r\nHost\t: a.example\r\n\r\n`, "400 bad-request"],
    [`GET / HTTP/1.1\r\n${host}: a\r\n\r\n`, "400 bad-request"],
    [`GET / HTTP/1.1\r\n${host}no colon\r\n\r\n`, "400 bad-request"],
    [`GET / HTTP/1.1\r\n${host}X(y): a\r\n\r\n`, "400 bad-request"],
    [`GET / HTTP/1.1\r\n${host}\xe9: a\r\n\r\n`, "400 bad-request"],
    [`GET / HTTP/1.1\r\n${host}X\0: a\r\n\r\n`, "400 bad-request"],
  ],
  "ATTACKS 26: control characters in a value are refused, at once": [
    [`GET / HTTP/1.1\r\n${host}X: a\0b\r\n\r\n`, "400 bad-request"],
    [`GET / HTTP/1.1\r\n${host}X: a\x1bb\r\n`, "400 bad-request"],
    [`GET / HTTP/1.1\r\n${host}X: a\x7f`, "400 bad-request"],
    [`GET / HTTP/1.1\r\n${host}X: a\x0bb\r\n\r\n`, "400 bad-request"],
  ],
  "ATTACKS 28: exactly one Host": [
    ["GET / HTTP/1.1\r\n\r\n", "400 bad-host"],
    ["GET / HTTP/1.1\r\nHost:\r\n\r\n", "400 bad-host"],
    ["GET / HTTP/1.1\r\nHost: \t \r\n\r\n", "400 bad-host"],
    [`GET / HTTP/1.1\r\n${host}${host}\r\n`, "400 bad-host"],
    [`GET / HTTP/1.1\r\n${host}HOST: b.example\r\n\r\n`, "400 bad-host"],
    [`GET / HTTP/1.0\r\n${host}${host}\r\n`, "400 bad-host"],
  ],
  "ATTACKS 29: a head too large is 431": [
    [`GET /${"x".repeat(16 * 1024 - 1)} HTTP/1.1\r\n`, "more"],
    [`GET /${"x".repeat(16 * 1024)} HTTP/1.1\r\n`, "431 head-too-large"],
    [`GET /${"x".repeat(17 * 1024)}`, "431 head-too-large"],
    [`GET / HTTP/1.1\r\n${host}${"X: y\r\n".repeat(199)}\r\n`, "GET / HTTP/1.1"],
    [`GET / HTTP/1.1\r\n${host}${"X: y\r\n".repeat(200)}\r\n`, "431 head-too-large"],
    [`GET / HTTP/1.1\r\n${host}X: ${"y".repeat(maxHeadBytes)}`, "431 head-too-large"],
    [`GET / HTTP/1.1\r\n${host}X: ${"y".repeat(maxHeadBytes)}\r\n\r\n`, "431 head-too-large"],
    [sizedHead(maxHeadBytes), "GET / HTTP/1.1"],
    [sizedHead(maxHeadBytes + 1), "431 head-too-large"],
  ],
  "a head that is not complete waits": [
    ["", "more"],
    ["G", "more"],
    ["CONNECT", "more"],
    ["CONNECT a.example:443 HTT", "more"],
    ["GET / HTTP/1.1\r", "more"],
    ["GET / HTTP/1.1\r\n", "more"],
    [`GET / HTTP/1.1\r\n${host}`, "more"],
    [`GET / HTTP/1.1\r\n${host}\r`, "more"],
  ],
};

for (const [name, rows] of Object.entries(cases)) {
  test(name, () => {
    expect(rows.map(([bytes]) => [bytes, verdict(bytes)])).toEqual(rows);
  });
}

test("a refusal says what is wrong", () => {
  const why = (text: string) => {
    const answer = read(text);
    return answer.kind === "bad" ? answer.bad.text : answer.kind;
  };
  expect(why("\x16\x03\x01")).toContain("TLS");
  expect(why("\x05\x01\x00")).toContain("SOCKS");
  expect(why("PRI * HTTP/2.0\r\n\r\n")).toContain("HTTP/2");
  expect(why("GET /\r\n\r\n")).toContain("version");
  expect(why(`GET / HTTP/1.1\r\n${host}X : a\r\n\r\n`)).toContain("colon");
  expect(why(`GET / HTTP/1.1\r\n${host}X: a\r\n b\r\n\r\n`)).toContain("folded");
  expect(why(`GET / HTTP/1.1\r\nno colon\r\n${host}\r\n`)).toContain("no colon");
});

test("values are kept byte for byte, without the white space around them; names as sent", () => {
  const answer = read(`GET / HTTP/1.1\r\n${host}X-Name:  \xa0caf\xe9\t\x85 \r\nx-name: 2\r\nEmpty:\r\n\r\n`);
  if (answer.kind !== "head") throw new Error(answer.kind);
  expect(answer.head.headers).toEqual([
    ["Host", "a.example"],
    ["X-Name", "\xa0caf\xe9\t\x85"],
    ["x-name", "2"],
    ["Empty", ""],
  ]);
  expect(headerOf(answer.head, "x-name")).toBe("\xa0caf\xe9\t\x85");
  expect(headerOf(answer.head, "empty")).toBe("");
  expect(headerOf(answer.head, "x-nam")).toBeUndefined();
});

test("ATTACKS 29: what comes behind the head is left to the caller", () => {
  const head = `CONNECT a.example:443 HTTP/1.1\r\n${host}\r\n`;
  expect(read(`${head}\x16\x03\x01\r\n\r\n`)).toMatchObject({ kind: "head", length: head.length });
  expect(read(`${head}GET / HTTP/1.1\n\n`)).toMatchObject({ kind: "head", length: head.length });
});

test("the input may be a view into the middle of a larger buffer", () => {
  const text = `GET / HTTP/1.1\r\n${host}\r\n`;
  const plain = new Uint8Array(bytesOf(`\r\n\r\n\x16${text}\r\n\r\n`)).subarray(5, 5 + text.length);
  expect(readRequestHead(plain)).toEqual(read(text));
  expect(readRequestHead(plain.subarray(0, text.length - 1))).toEqual({ kind: "more" });
});

test("ATTACKS 29: a head split at any bytes is understood as if it came at once", () => {
  const head = fc.record({
    method: fc.constantFrom("GET", "POST", "CONNECT", "M-SEARCH"),
    target: fc.string({
      unit: fc.constantFrom(..."/:?&=%abc.019~!$'()*+,;@[]"),
      minLength: 1,
      maxLength: 60,
    }),
    headers: fc.array(
      fc.tuple(
        token.filter((name) => name.toLowerCase() !== "host"),
        fieldValue,
      ),
      { maxLength: 12 },
    ),
    rest: fc.string(),
  });
  fc.assert(
    fc.property(head, cuts, ({ method, target, headers, rest }, places) => {
      const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join("");
      const text = `${method} ${target} HTTP/1.1\r\n${host}${lines}\r\n`;
      const whole = read(text + rest);
      expect(whole).toEqual({
        kind: "head",
        head: { method, target, minor: 1, headers: [["Host", "a.example"], ...headers] },
        length: text.length,
      });
      expect(trickled(readRequestHead, bytesOf(text + rest), places)).toEqual(whole);
    }),
  );
});

test("a bad head split at any byte is refused all the same", () => {
  const bad = Object.values(cases).flatMap((rows) =>
    rows.filter(([, want]) => /^\d/.test(want)).map(([bytes]) => bytes),
  );
  for (const bytes of bad.filter((text) => text.length < 200).map(bytesOf)) {
    for (let cut = 0; cut <= bytes.length; cut++) {
      expect([bytes, cut, trickled(readRequestHead, bytes, [cut]).kind]).toEqual([bytes, cut, "bad"]);
    }
  }
});

test("any bytes get an answer, and a head never holds what would end a line", () => {
  const soup = fc.array(
    fc.oneof(
      fc.constantFrom(
        "GET ",
        "/ HTTP/1.1\r\n",
        host,
        "X: y",
        "\r\n",
        "\r",
        "\n",
        ":",
        " ",
        "\0",
        "HTTP/1.1",
        "\r\n\r\n",
      ),
      fc.string({ unit: "binary-ascii", maxLength: 6 }),
    ),
  );
  fc.assert(
    fc.property(soup, fc.uint8Array({ maxLength: 40 }), (pieces, noise) => {
      for (const bytes of [
        bytesOf(pieces.join("")),
        noise,
        bytesOf(`GET / HTTP/1.1\r\n${host}${pieces.join("")}\r\n\r\n`),
      ]) {
        const answer = readRequestHead(bytes);
        if (answer.kind !== "head") continue;
        const { method, target, headers } = answer.head;
        expect(`${method}${target}`).toMatch(/^[\x21-\x7e]+$/);
        for (const field of headers.flat()) expect(field).not.toMatch(/[\r\n\0]/);
      }
    }),
  );
});

function sizedHead(bytes: number): string {
  const rest = `GET / HTTP/1.1\r\n${host}X: \r\n\r\n`;
  return rest.replace("X: ", `X: ${"y".repeat(bytes - rest.length)}`);
}
