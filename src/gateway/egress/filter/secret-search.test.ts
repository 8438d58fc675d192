import { expect, test } from "bun:test";
import fc from "../../../../test/properties.ts";
import { createSecretSearch, type SecretSearch } from "./secret-search.ts";

const value = 'hunter2 "q"/x+y~ü';
const search = createSecretSearch([
  { name: "OTHER", value: "AKIAIOSFODNN7EXAMPLE" },
  { name: "DATABASE", value },
]);

/** What was passed on, and what was found, when the text comes in pieces of a size. */
function send(search: SecretSearch, text: string | Uint8Array, size: number) {
  const bytes = Buffer.from(text);
  const stream = search.start();
  const passed: Uint8Array[] = [];
  for (let at = 0; at <= bytes.length; at += size) {
    const result = at < bytes.length ? stream.push(bytes.subarray(at, at + size)) : stream.end();
    if ("found" in result) return { found: result.found, passed: Buffer.concat(passed) };
    passed.push(...result.pass.map((part) => new Uint8Array(part)));
  }
  const result = stream.end();
  if ("found" in result) return { found: result.found, passed: Buffer.concat(passed) };
  return { found: undefined, passed: Buffer.concat([...passed, ...result.pass]) };
}

const base64 = (text: string) => Buffer.from(text).toString("base64");
const hex = (text: string) => Buffer.from(text).toString("hex");
const wrapped = (text: string, width: number, by: string) =>
  text.replace(new RegExp(`.{${width}}`, "g"), `$&${by}`);
const percentAll = (text: string) =>
  [...Buffer.from(text)].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");

const forms: Record<string, (value: string) => string> = {
  "as such": (value) => value,
  "with line breaks put in": (value) => wrapped(value, 5, "\r\n"),
  "with a line break after each character": (value) => wrapped(value, 1, "\n"),
  "base64, first place": base64,
  "base64, second place": (value) => base64(`u${value}v`),
  "base64, third place": (value) => base64(`u:${value}vw`),
  "base64, URL-safe": (value) => Buffer.from(`??>${value}`).toString("base64url"),
  "base64 in lines of 16": (value) => wrapped(base64(`user=${value}`), 16, "\n"),
  "base64 in lines, in JSON": (value) => JSON.stringify(wrapped(base64(value), 8, "\n")),
  "hex, small": hex,
  "hex, capitals": (value) => hex(value).toUpperCase(),
  "hex in lines": (value) => wrapped(hex(value), 6, "\n"),
  "percent-encoded": encodeURIComponent,
  "percent-encoded throughout": percentAll,
  "percent-encoded throughout, capitals": (value) => percentAll(value).toUpperCase(),
  "as a form field": (value) => new URLSearchParams({ value }).toString(),
  "as a form field, encoded twice": (value) => encodeURIComponent(new URLSearchParams({ value }).toString()),
  "as a JSON string": (value) => JSON.stringify(value),
  "as an ASCII JSON string": (value) => JSON.stringify(value).replace("ü", "\\u00fc").replaceAll("/", "\\/"),
  "as numbered JSON escapes": (value) =>
    Array.from(value, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`).join(""),
  "as JSON in JSON": (value) => JSON.stringify(JSON.stringify({ value })),
  "as JSON in a form": (value) => new URLSearchParams({ body: JSON.stringify({ value }) }).toString(),
  "as a URL in JSON": (value) => JSON.stringify(`https://h/?q=${percentAll(value)}"`),
  "base64 percent-encoded": (value) => percentAll(base64(value)),
};

for (const [form, encode] of Object.entries(forms)) {
  test(`a secret is found ${form}, whatever the chunks, and nothing of it has left`, () => {
    const text = `{"beginning":${encode(value)}} end`;
    const otherText = `{"beginning":${encode(`~${value.slice(1)}`)}} end`;
    const begins = [...text].findIndex((character, index) => character !== otherText[index]);
    for (let size = 1; size <= text.length; size++) {
      const result = send(search, text, size);
      expect(result.found).toBe("DATABASE");
      // Of base64 the character which the secret shares with what is before it may have gone.
      expect(result.passed.length).toBeLessThanOrEqual(begins + (form.includes("base64") ? 1 : 0));
    }
  });
}

test("the first secret is named by its own name", () => {
  expect(send(search, "key=AKIAIOSFODNN7EXAMPLE&", 7).found).toBe("OTHER");
});

test("what is almost a secret passes unchanged", () => {
  for (const text of [
    value.slice(1),
    value.slice(0, -1),
    value.toUpperCase(),
    base64(value).toLowerCase(),
    `hunter2 x"q"/x+y~ü`,
    "100% \\ %4 \\u00 %zz \\u00g0 %",
    "\\",
    "%4",
    "",
  ]) {
    for (const size of [1, 3, 100]) {
      expect(send(search, text, size)).toEqual({ found: undefined, passed: Buffer.from(text) });
    }
  }
});

test("a stray sign before a secret does not hide it", () => {
  const hexLike = createSecretSearch([{ name: "HEX", value: "41bcdef0123" }]);
  for (const text of ["%41bcdef0123", "\\u41bcdef0123", "%%41bcdef0123", "\\41bcdef0123"]) {
    expect(send(hexLike, text, 1).found).toBe("HEX");
    expect(send(hexLike, text, 50).found).toBe("HEX");
  }
});

test("a secret that looks encoded itself is found as such and encoded", () => {
  const odd = 'a%41b\\u0041c\\nd"e f';
  const oddSearch = createSecretSearch([{ name: "ODD", value: odd }]);
  for (const text of [odd, encodeURIComponent(odd), JSON.stringify(odd), percentAll(odd), base64(odd)]) {
    expect(send(oddSearch, text, 4).found).toBe("ODD");
  }
});

test("an innocent stream is not held back beyond its last few bytes", () => {
  const stream = search.start();
  const result = stream.push(Buffer.from("an innocent line; and then hunt"));
  expect("pass" in result && Buffer.concat(result.pass).toString()).toBe("an innocent line; and then ");
  const after = stream.push(Buffer.from("ing"));
  expect("pass" in after && Buffer.concat(after.pass).toString()).toBe("hunting");
});

test("what may be the encoded beginning of a secret is held back whole", () => {
  for (const [text, clear] of [
    ["x%6", "x"],
    ["x%25", "x"],
    ["x\\u00", "x"],
    ["x%5", "x"],
    ["x%6g", "x%6g"],
    ["x\\q", "x\\q"],
  ] as const) {
    const result = search.start().push(Buffer.from(text));
    expect("pass" in result && Buffer.concat(result.pass).toString()).toBe(clear);
  }
});

test("once a secret was found, nothing more is passed on", () => {
  const stream = search.start();
  expect(stream.push(Buffer.from(`x${value}`))).toEqual({ found: "DATABASE" });
  expect(stream.push(Buffer.from("harmless"))).toEqual({ found: "DATABASE" });
  expect(stream.end()).toEqual({ found: "DATABASE" });
});

test("streams do not disturb each other", () => {
  const [one, two] = [search.start(), search.start()];
  const [first, rest] = [value.slice(0, 6), value.slice(6)];
  one.push(Buffer.from(first));
  two.push(Buffer.from("%"));
  expect(one.push(Buffer.from(rest))).toEqual({ found: "DATABASE" });
  expect(two.push(Buffer.from(rest))).not.toEqual({ found: "DATABASE" });
});

test("the memory of a chunk may be used again", () => {
  const stream = search.start();
  const buffer = Buffer.from("so it is: hunter");
  stream.push(buffer);
  buffer.fill("#");
  const result = stream.end();
  expect("pass" in result && Buffer.concat(result.pass).toString()).toBe("hunter");
});

test("secrets too short to be told from ordinary words are named, not searched for", () => {
  const short = createSecretSearch([
    { name: "PIN", value: "1234567" },
    { name: "SPACES", value: "   abc   \n" },
  ]);
  expect(short.skipped).toEqual(["PIN", "SPACES"]);
  expect(short.empty).toBe(true);
  expect(send(short, "1234567", 2)).toEqual({ found: undefined, passed: Buffer.from("1234567") });
});

test("a key is found whole, in any armour of line breaks, and by each of its lines", () => {
  const lines = Array.from({ length: 5 }, (_, line) => base64(`${line}/`.repeat(24)).slice(0, 64));
  const key = `-----BEGIN PRIVATE KEY-----\n${lines.join("\n")}\n-----END PRIVATE KEY-----\n`;
  const keySearch = createSecretSearch([{ name: "KEY", value: key }]);
  for (const text of [
    key,
    key.replaceAll("\n", "\r\n"),
    key.replaceAll("\n", ""),
    JSON.stringify(key),
    base64(key),
  ]) {
    expect(send(keySearch, text, 50).found).toBe("KEY");
  }
  for (const line of lines) {
    expect(send(keySearch, `x ${line} y`, 9).found).toBe("KEY");
    expect(send(keySearch, base64(`x ${line} y`), 9).found).toBe("KEY");
  }
  expect(send(keySearch, "-----BEGIN PRIVATE KEY-----\n", 9).found).toBeUndefined();
});

test("a key in one line with escaped line breaks, as in a JSON key file, is found by its lines", () => {
  const line = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj";
  const file = `{"type":"account","private_key":"-----BEGIN PRIVATE KEY-----\\n${line}\\nsecond/line/of/the/key/in/it\\n"}`;
  const keySearch = createSecretSearch([{ name: "FILE", value: file }]);
  expect(send(keySearch, `-----BEGIN PRIVATE KEY-----\n${line}\n`, 10).found).toBe("FILE");
  expect(send(keySearch, '{"type":"account","private_key":"-----BEGIN', 10).found).toBeUndefined();
});

test("an escape cut by the border of a large piece neither hides what follows nor is lost", () => {
  const encoded = `%68${value.slice(1)}`;
  for (let shift = 0; shift < 40; shift++) {
    const text = `${"a".repeat(16 * 1024 - 5)}\\u004z${"b".repeat(16 * 1024 - Buffer.byteLength(encoded) - 20 + shift)}`;
    expect(send(search, text + encoded, 1 << 20).found).toBe("DATABASE");
    expect(send(search, text, 1 << 20).passed.toString()).toBe(text);
  }
});

test("the line that all OpenSSH keys share raises no alarm", () => {
  const head = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW";
  const key = `-----BEGIN OPENSSH PRIVATE KEY-----\n${head}\nQyNTUxOQAAACBsecretsecretsecret\n-----END`;
  const keySearch = createSecretSearch([{ name: "KEY", value: key }]);
  expect(send(keySearch, head, 10).found).toBeUndefined();
  expect(send(keySearch, "QyNTUxOQAAACBsecretsecretsecret", 10).found).toBe("KEY");
});

test("a secret stretched over a whole stream is found, and memory stays bounded", () => {
  const stream = search.start();
  let passed = 0;
  let held = 0;
  let result = stream.push(Buffer.from(value.slice(0, 8)));
  for (let i = 0; i < 50; i++) {
    result = stream.push(Buffer.alloc(1000, "\n"));
    if ("pass" in result) passed += result.pass.reduce((sum, { length }) => sum + length, 0);
    held = 8 + (i + 1) * 1000 - passed;
    expect(held).toBeLessThan(1000);
  }
  expect(stream.push(Buffer.from(value.slice(8)))).toEqual({ found: "DATABASE" });
});

const anySecret = fc
  .oneof(
    fc.string({ minLength: 8, maxLength: 60, unit: "grapheme-ascii" }),
    fc.string({ minLength: 8, maxLength: 20, unit: "grapheme" }),
    // Where all of a secret is made of escapes, it may read as something too short to be searched for.
    fc
      .string({ maxLength: 12, unit: fc.constantFrom("%", "\\", "4", "1", "u", "0", "n", '"', "a") })
      .map((text) => `${text}-plainly`),
  )
  .filter((text) => text.trim().length >= 8 && text.isWellFormed());

const anyEncoding: fc.Arbitrary<(text: string) => string> = fc.oneof(
  fc.constantFrom(
    (text: string) => text,
    encodeURIComponent,
    percentAll,
    (text: string) => JSON.stringify(text),
    hex,
    (text: string) => new URLSearchParams({ text }).toString(),
    (text: string) => JSON.stringify(JSON.stringify(text)),
    (text: string) => encodeURIComponent(JSON.stringify(text)),
    (text: string) => JSON.stringify(encodeURIComponent(text)),
  ),
  fc
    .tuple(fc.string(), fc.string(), fc.constantFrom("base64" as const, "base64url" as const), fc.boolean())
    .map(([before, after, alphabet, percent]) => (text: string) => {
      const encoded = Buffer.from(before + text + after).toString(alphabet);
      return percent ? percentAll(encoded) : encoded;
    }),
  // Each character plain or encoded, each hexadecimal digit small or a capital.
  fc.infiniteStream(fc.nat({ max: 3 })).map((choices) => (text: string) => {
    const choose = () => choices.next().value ?? 0;
    return Array.from(Buffer.from(text), (byte) => {
      const plain = String.fromCharCode(byte);
      if (/[A-Za-z0-9]/.test(plain) && choose() < 2) return plain;
      const encoded = `%${byte.toString(16).padStart(2, "0")}`;
      return choose() % 2 === 0 ? encoded : encoded.toUpperCase();
    }).join("");
  }),
  fc
    .infiniteStream(fc.boolean())
    .map(
      (choices) => (text: string) =>
        Array.from(hex(text), (digit) => (choices.next().value === true ? digit.toUpperCase() : digit)).join(
          "",
        ),
    ),
);

test("any secret in any encoding in any surroundings is found across any chunks", () => {
  fc.assert(
    fc.property(
      anySecret,
      anyEncoding,
      fc.string(),
      fc.string(),
      fc.integer({ min: 1, max: 70 }),
      (secret, encode, before, after, size) => {
        // An escape before the secret may swallow its beginning: then what arrives is not the secret either.
        const safe = `${before.replace(/[%\\]/g, "")} `;
        const any = createSecretSearch([{ name: "ANY", value: secret }]);
        const result = send(any, safe + encode(secret) + after, size);
        expect(result.found).toBe("ANY");
      },
    ),
    { numRuns: 1000 },
  );
});

test("as such, a secret is found whatever stands before it, and no byte of it has left", () => {
  fc.assert(
    fc.property(
      anySecret,
      fc.string({ unit: fc.constantFrom("%", "\\", "u", "0", "4", "\n", "a", '"') }),
      fc.integer({ min: 1, max: 70 }),
      (secret, before, size) => {
        const any = createSecretSearch([{ name: "ANY", value: secret }]);
        const { found, passed } = send(any, before + secret, size);
        expect(found).toBe("ANY");
        expect(passed.length).toBeLessThanOrEqual(
          Buffer.byteLength(before + (/^\s*/.exec(secret)?.[0] ?? "")),
        );
      },
    ),
    { numRuns: 500 },
  );
});

test("what holds no secret passes byte for byte, and is never held for long", () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 20 }),
      fc.array(
        fc.constantFrom("hunter2 ", '"q"', "%41", "\\u0068", "\\", "%", "aHVudGVyM", "68756e74", "\n", "+"),
        {
          maxLength: 40,
        },
      ),
      (noise, parts) => {
        const chunks = [...noise, ...parts.map((part) => new Uint8Array(Buffer.from(part)))];
        const stream = search.start();
        const passed: Uint8Array[] = [];
        for (const chunk of chunks) {
          const result = stream.push(chunk);
          if (!("pass" in result)) throw new Error("found");
          passed.push(...result.pass);
        }
        const result = stream.end();
        if (!("pass" in result)) throw new Error("found");
        expect(Buffer.concat([...passed, ...result.pass])).toEqual(Buffer.concat(chunks));
      },
    ),
    { numRuns: 500 },
  );
});

test("many secrets are told apart, in pieces larger than what is read at a time", () => {
  const many = Array.from({ length: 300 }, (_, i) => ({
    name: `S${i}`,
    value: `secret-${i}-${"x".repeat(30)}${i}`,
  }));
  const manySearch = createSecretSearch(many);
  const filler = "lorem ipsum % \\ dolor ".repeat(3000);
  for (const index of [0, 150, 299]) {
    const secret = many[index]?.value ?? "";
    expect(send(manySearch, filler + base64(secret) + filler, 64 * 1024).found).toBe(`S${index}`);
    expect(send(manySearch, filler + percentAll(secret) + filler, 1 << 20).found).toBe(`S${index}`);
  }
  expect(send(manySearch, filler, 50_000).passed.toString()).toBe(filler);
});
