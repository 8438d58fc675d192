import { expect, test } from "bun:test";
import fc from "../../../../test/properties.ts";
import { createRedaction, type Redaction } from "./redaction.ts";

const token = "tok-0123456789/ab+c";
const redaction = createRedaction([token, "short", "other-credential"]);

function send(redaction: Redaction, bytes: Uint8Array, size: number): Buffer {
  const stream = redaction.start();
  const out: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += size) out.push(...stream.push(bytes.subarray(at, at + size)));
  return Buffer.concat([...out, ...stream.end()]);
}

test("an echo service shows stars in place of the credential, at the same length", () => {
  const table: [string, string][] = [
    [`{"authorization":"Bearer ${token}"}`, `{"authorization":"Bearer ${"*".repeat(19)}"}`],
    [`a=${encodeURIComponent(token)}&b=1`, `a=${"*".repeat(23)}&b=1`],
    [JSON.stringify(token).replace("/", "\\/"), `"${"*".repeat(20)}"`],
    [Buffer.from(token).toString("hex"), "*".repeat(38)],
    [`${token}${token}`, "*".repeat(38)],
    [`other-credential short ${token}`, `${"*".repeat(16)} short ${"*".repeat(19)}`],
  ];
  for (const [text, clean] of table) {
    expect(redaction.text(text)).toBe(clean);
    for (let size = 1; size < 60; size += 7)
      expect(send(redaction, Buffer.from(text), size).toString()).toBe(clean);
  }
});

test("of base64 only the characters that the credential shares with its neighbours are left", () => {
  const clean = redaction.text(Buffer.from(`user:${token}!`).toString("base64"));
  expect(clean).toMatch(/^dXNlcj.\*{24,}.{0,4}$/);
});

test("a short credential that holds what looks like an escape is found in JSON, too", () => {
  const value = '%41%42"!';
  const text = JSON.stringify({ said: value });
  expect(text).toContain('%41%42\\"!');
  expect(createRedaction([value]).text(text)).toBe(`{"said":"${"*".repeat(9)}"}`);
});

test("credentials that overlap are both blotted out", () => {
  expect(createRedaction(["abcdefghij", "ghijklmnop"]).text("-abcdefghijklmnop-")).toBe(
    `-${"*".repeat(16)}-`,
  );
  // Two begin alike, and a third one begins inside that.
  const three = createRedaction(["abcdefgh1one", "abcdefgh2two", "defghijkl"]);
  expect(three.text("abcdefghijkl abcdefgh2two")).toBe(`abc${"*".repeat(9)} ${"*".repeat(12)}`);
  expect(createRedaction(["abcdefghij", "cdefghij"]).text("-abcdefghij-xcdefghij-")).toBe(
    "-**********-x********-",
  );
});

test("however values overlap, exactly the characters that are in one are blotted out", () => {
  const letters = fc.constantFrom("a", "b", "c");
  const values = fc.array(fc.string({ minLength: 8, maxLength: 14, unit: letters }), {
    minLength: 1,
    maxLength: 12,
  });
  fc.assert(
    fc.property(values, fc.string({ maxLength: 300, unit: letters }), fc.nat(), (values, filler, where) => {
      const at = where % (filler.length + 1);
      const text =
        filler.slice(0, at) + values.map((value) => value.slice(0, 6) + value).join("") + filler.slice(at);
      const expected = Array.from(text);
      for (const value of values) {
        for (let at = text.indexOf(value); at >= 0; at = text.indexOf(value, at + 1))
          expected.fill("*", at, at + value.length);
      }
      expect(createRedaction(values).text(text)).toBe(expected.join(""));
    }),
    { numRuns: 300 },
  );
});

test("what was given is not written to", () => {
  const chunk = Buffer.from(`x ${token} y`);
  const stream = redaction.start();
  stream.push(chunk);
  expect(chunk.toString()).toBe(`x ${token} y`);
});

test("without values everything passes as it is", () => {
  const none = createRedaction(["", "short"]);
  expect(none.text(token)).toBe(token);
  expect(send(none, Buffer.from(token), 3).toString()).toBe(token);
});

test("lengths stay, no credential stays, and the rest is as it was", () => {
  const secret = fc
    .string({ minLength: 8, maxLength: 30, unit: "grapheme-ascii" })
    .filter((text) => text.trim().length >= 8);
  const encodings = fc.constantFrom(
    (text: string) => text,
    (text: string) => JSON.stringify(text),
    encodeURIComponent,
    (text: string) => Buffer.from(text).toString("hex"),
  );
  fc.assert(
    fc.property(
      secret,
      encodings,
      fc.uint8Array(),
      fc.uint8Array(),
      fc.integer({ min: 1, max: 50 }),
      (value, encode, before, after, size) => {
        const any = createRedaction([value]);
        // What is around the value can neither hold it nor swallow its beginning.
        const [head, tail] = [before, after].map((bytes) => Buffer.from(bytes.map((byte) => byte | 0x80)));
        const encoded = Buffer.from(encode(value));
        const text = Buffer.concat([head ?? Buffer.alloc(0), encoded, tail ?? Buffer.alloc(0)]);
        const clean = send(any, text, size);
        expect(clean.length).toBe(text.length);
        expect(clean.includes(encoded)).toBe(false);
        expect(clean.subarray(0, before.length)).toEqual(text.subarray(0, before.length));
        expect(clean.subarray(clean.length - after.length)).toEqual(
          text.subarray(text.length - after.length),
        );
      },
    ),
    { numRuns: 500 },
  );
});
