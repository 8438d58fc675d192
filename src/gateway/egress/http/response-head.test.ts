import { expect, test } from "bun:test";
import fc from "../../../../test/properties.ts";
import { maxHeadBytes } from "./header-lines.ts";
import { bytesOf, cuts, fieldValue, token, trickled } from "./pieces.fixture.ts";
import { readResponseHead } from "./response-head.ts";

function verdict(text: string): string {
  const answer = readResponseHead(bytesOf(text));
  return answer.kind === "head"
    ? `${answer.head.minor} ${answer.head.status} ${answer.head.reason}`
    : answer.kind;
}

const cases: Record<string, [bytes: string, verdict: string][]> = {
  "an ordinary response is understood": [
    ["HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "1 200 OK"],
    ["HTTP/1.0 404 Not Found\r\n\r\n", "0 404 Not Found"],
    ["HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "1 100 Continue"],
    ["HTTP/1.1 599 \r\n\r\n", "1 599 "],
    ["HTTP/1.1 200\r\n\r\n", "1 200 "],
    ["HTTP/1.1 200 caf\xe9\tau lait\r\n\r\n", "1 200 caf\xe9\tau lait"],
  ],
  "ATTACKS 37: a status that is none is refused": [
    ["HTTP/1.1 099 Odd\r\n\r\n", "bad"],
    ["HTTP/1.1 0", "bad"],
    ["HTTP/1.1 600 Odd\r\n\r\n", "bad"],
    ["HTTP/1.1 20 OK\r\n\r\n", "bad"],
    ["HTTP/1.1 2000 OK\r\n\r\n", "bad"],
    ["HTTP/1.1 200OK\r\n\r\n", "bad"],
    ["HTTP/1.1 +20 OK\r\n\r\n", "bad"],
    ["HTTP/1.1  200 OK\r\n\r\n", "bad"],
    ["HTTP/1.1 200 O\0K\r\n\r\n", "bad"],
  ],
  "ATTACKS 37: what is no HTTP/1 is refused as soon as it is seen": [
    ["HTTP/2.0 200 OK\r\n\r\n", "bad"],
    ["HTTP/1.2", "bad"],
    ["ICY 200 OK\r\n", "bad"],
    ["SSH-2.0-OpenSSH_9.2\r\n", "bad"],
    ["220 mail.example ESMTP\r\n", "bad"],
    ["\x15\x03\x01", "bad"],
    ["<html>", "bad"],
    ["\r\nHTTP/1.1 200 OK\r\n\r\n", "bad"],
  ],
  "bare CR and LF, folded lines and bad names are refused": [
    ["HTTP/1.1 200 OK\nX: y\n\n", "bad"],
    ["HTTP/1.1 200\n", "bad"],
    ["HTTP/1.1 200 OK\r\nX: y\n", "bad"],
    ["HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n", "bad"],
    ["HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", "bad"],
    ["HTTP/1.1 200 OK\r\nX : a\r\n\r\n", "bad"],
    ["HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "bad"],
    ["HTTP/1.1 200 OK\r\nX: \x1b[2J\r\n\r\n", "bad"],
  ],
  "ATTACKS 37: a giant head is refused": [
    [`HTTP/1.1 200 OK\r\nX: ${"y".repeat(maxHeadBytes)}`, "bad"],
    [`HTTP/1.1 200 OK\r\nX: ${"y".repeat(maxHeadBytes)}\r\n\r\n`, "bad"],
    [`HTTP/1.1 200 OK\r\n${"X: y\r\n".repeat(200)}\r\n`, "1 200 OK"],
    [`HTTP/1.1 200 OK\r\n${"X: y\r\n".repeat(201)}\r\n`, "bad"],
  ],
  "a head that is not complete waits": [
    ["", "more"],
    ["HTT", "more"],
    ["HTTP/1.1 2", "more"],
    ["HTTP/1.1 200\r", "more"],
    ["HTTP/1.1 200 OK\r\nX: y\r\n\r", "more"],
  ],
};

for (const [name, rows] of Object.entries(cases)) {
  test(name, () => {
    expect(rows.map(([bytes]) => [bytes, verdict(bytes)])).toEqual(rows);
  });
}

test("a response split at any bytes is understood as if it came at once; several cookies stay several", () => {
  const headers = fc.array(fc.tuple(fc.oneof(token, fc.constant("Set-Cookie")), fieldValue), {
    maxLength: 12,
  });
  fc.assert(
    fc.property(
      fc.integer({ min: 100, max: 599 }),
      fieldValue,
      headers,
      cuts,
      (status, reason, fields, places) => {
        const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`).join("");
        const text = `HTTP/1.1 ${status} ${reason}\r\n${lines}\r\n`;
        expect(trickled(readResponseHead, bytesOf(`${text}\r\nbody`), places)).toEqual({
          kind: "head",
          head: { status, reason, minor: 1, headers: fields },
          length: text.length,
        });
      },
    ),
  );
});

test("a bad response split at any byte is refused all the same", () => {
  const bad = Object.values(cases).flatMap((rows) =>
    rows.filter(([, want]) => want === "bad").map(([bytes]) => bytes),
  );
  for (const bytes of bad.filter((text) => text.length < 200).map(bytesOf)) {
    for (let cut = 0; cut <= bytes.length; cut++) {
      expect([bytes, cut, trickled(readResponseHead, bytes, [cut]).kind]).toEqual([bytes, cut, "bad"]);
    }
  }
});

test("any bytes get an answer", () => {
  fc.assert(
    fc.property(fc.uint8Array(), (noise) => {
      expect(["more", "bad"]).toContain(readResponseHead(noise).kind);
      const behind = readResponseHead(
        Buffer.concat([bytesOf("HTTP/1.1 200 OK\r\n"), noise, bytesOf("\r\n\r\n")]),
      );
      expect(["head", "bad"]).toContain(behind.kind);
    }),
  );
});
