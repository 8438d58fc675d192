import { expect, test } from "bun:test";
import fc from "../../../../test/properties.ts";
import { type BodyFraming, chunkOf, createBodyReader, lastChunk } from "./body.ts";
import { bytesOf, cutAt, cuts, textOf } from "./pieces.fixture.ts";

const chunked: BodyFraming = { kind: "chunked" };

/** The body that a reader finds in `pieces`, and the bytes left over; `bad` where it refuses. */
function decoded(framing: BodyFraming, pieces: readonly Uint8Array[], sentBy?: "client" | "server") {
  const reader = createBodyReader(framing, sentBy);
  const content: Uint8Array[] = [];
  const rest: Uint8Array[] = [];
  let done = false;
  for (const piece of pieces) {
    if (done) {
      rest.push(piece);
      continue;
    }
    const read = reader.read(piece);
    if (!read.ok) return "bad";
    content.push(...read.content);
    rest.push(piece.subarray(read.consumed));
    done = read.done;
  }
  return { body: textOf(...content), rest: textOf(...rest), done, mayEnd: reader.end() };
}

function decodedText(text: string, sentBy?: "client" | "server") {
  return decoded(chunked, [bytesOf(text)], sentBy);
}

test("no body: nothing is taken", () => {
  expect(decoded({ kind: "none" }, [bytesOf("GET /")])).toEqual({
    body: "",
    rest: "GET /",
    done: true,
    mayEnd: true,
  });
});

test("a body of a known length ends there, and not before", () => {
  const framing: BodyFraming = { kind: "length", length: 5 };
  expect(decoded(framing, [bytesOf("abc"), bytesOf("deGET")])).toEqual({
    body: "abcde",
    rest: "GET",
    done: true,
    mayEnd: true,
  });
  expect(decoded(framing, [bytesOf("abcd")])).toEqual({ body: "abcd", rest: "", done: false, mayEnd: false });
  expect(decoded({ kind: "length", length: 0 }, [bytesOf("")])).toMatchObject({ done: true, mayEnd: true });
});

test("a body until close takes everything", () => {
  expect(decoded({ kind: "until-close" }, [bytesOf("0\r\n\r\n"), bytesOf("")])).toEqual({
    body: "0\r\n\r\n",
    rest: "",
    done: false,
    mayEnd: true,
  });
});

test("chunks are put together; what comes behind the last is left", () => {
  expect(decodedText("5\r\nabcde\r\n00A\r\n0123456789\r\n0\r\n\r\nGET /")).toEqual({
    body: "abcde0123456789",
    rest: "GET /",
    done: true,
    mayEnd: true,
  });
  expect(decodedText("5\r\nabcde\r\n0\r\n")).toEqual({ body: "abcde", rest: "", done: false, mayEnd: false });
});

test("ATTACKS 26: a bad chunk size is refused, at once", () => {
  const bad = [
    "\r\n",
    "g\r\n",
    "x",
    "-1\r\n",
    "+1\r\n",
    "0x1\r\n",
    " 1\r\n",
    "1 \r\n",
    "1\n",
    "1\r1",
    "000000001",
    "1\r\r\n",
    "\0",
  ];
  for (const text of bad) expect([text, decodedText(text)]).toEqual([text, "bad"]);
});

test("ATTACKS 26: chunk extensions are refused in a request, and dropped in a response", () => {
  for (const text of ["1;a=b\r\n", "1;", "1 ;a\r\n", "0;a\r\n\r\n"])
    expect([text, decodedText(text)]).toEqual([text, "bad"]);
  const answer = '3;a=b;c="d e"\r\nabc\r\n2 \r\nde\r\n0;x\r\n\r\n';
  expect(decodedText(answer, "server")).toEqual({ body: "abcde", rest: "", done: true, mayEnd: true });
  for (const text of ["3;a\nabc", "3;\0", "3;a\rb", `3;${"x".repeat(2000)}`, ";a\r\n", "3 4\r\n"]) {
    expect([text, decodedText(text, "server")]).toEqual([text, "bad"]);
  }
});

test("ATTACKS 26: a chunk that is longer or shorter than its size says is refused", () => {
  for (const text of [
    "3\r\nabcd\r\n",
    "3\r\nabc\n",
    "3\r\nab\r\n0\r\n\r\n",
    "3\r\nabc\r0",
    "3\r\nabc0\r\n\r\n",
  ]) {
    expect([text, decodedText(text)]).toEqual([text, "bad"]);
  }
});

test("ATTACKS 27: trailers are checked and dropped", () => {
  const done = { body: "abc", rest: "next", done: true, mayEnd: true };
  expect(decodedText("3\r\nabc\r\n0\r\nAuthorization: x\r\nY:\r\n\r\nnext")).toEqual(done);
  const bad = [
    "X : y\r\n",
    "no colon\r\n",
    " folded\r\n",
    "X: y\n",
    "X: \0\r\n",
    "\n",
    "\rX",
    `X: ${"y".repeat(8192)}`,
  ];
  for (const line of bad) expect([line, decodedText(`0\r\n${line}\r\n`)]).toEqual([line, "bad"]);
  expect(decodedText(`0\r\n${"X: y\r\n".repeat(1366)}`)).toBe("bad");
  expect(decodedText(`0\r\n${"X: y\r\n".repeat(1365)}\r\n`)).toMatchObject({ done: true });
});

test("after a refusal nothing more is read", () => {
  const reader = createBodyReader(chunked);
  expect(reader.read(bytesOf("x")).ok).toBe(false);
  expect(reader.read(bytesOf("0\r\n\r\n")).ok).toBe(false);
  expect(reader.end()).toBe(false);
});

test("content is a view into the input, where it is not very small", () => {
  const input = bytesOf(`50\r\n${"abcde".repeat(16)}\r\n0\r\n\r\n`);
  const read = createBodyReader(chunked).read(input);
  if (!read.ok) throw new Error(read.why);
  input.fill(0x7a);
  expect(textOf(...read.content)).toBe("z".repeat(80));
});

test("any content, chunked and cut in any way, comes out as it went in", () => {
  const contents = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 10 });
  fc.assert(
    fc.property(
      contents,
      cuts,
      fc.constantFrom("client" as const, "server" as const),
      (parts, places, sentBy) => {
        const sent = Buffer.concat([
          ...parts.flatMap((part) => chunkOf([part])),
          lastChunk,
          bytesOf("GET / HTTP/1.1\r\n"),
        ]);
        expect(decoded(chunked, cutAt(sent, places), sentBy)).toEqual({
          body: textOf(...parts),
          rest: "GET / HTTP/1.1\r\n",
          done: true,
          mayEnd: true,
        });
      },
    ),
  );
});

test("chunked bytes, broken anywhere, get the verdict of a plain reference decoder", () => {
  const piece = fc.oneof(
    fc.constantFrom(
      "0\r\n\r\n",
      "3\r\nabc\r\n",
      "A\r\n0123456789\r\n",
      "\r\n",
      "\r",
      "\n",
      "0\r\n",
      "X: y\r\n",
      "1",
      ";a",
      " ",
    ),
    fc.string({ unit: "binary-ascii", maxLength: 2 }),
  );
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join("")),
      cuts,
      (text, places) => {
        const got = decoded(chunked, cutAt(bytesOf(text), places));
        const want = reference(text);
        if (want === "bad") expect(got).toBe("bad");
        else if (want === "more") expect(got === "bad" || !got.done).toBe(true);
        else expect(got).toEqual({ ...want, done: true, mayEnd: true });
      },
    ),
    { numRuns: 1000 },
  );
});

/** A whole chunked request body by one pattern at a time; `more` where it neither ends nor is certainly broken. */
function reference(text: string): { body: string; rest: string } | "bad" | "more" {
  let body = "";
  let rest = text;
  while (true) {
    const line = /^([^\n]*)\n/.exec(rest)?.[1];
    if (line === undefined) return "more";
    if (!/^[0-9a-fA-F]{1,8}\r$/.test(line)) return "bad";
    const size = Number.parseInt(line, 16);
    rest = rest.slice(line.length + 1);
    if (size === 0) break;
    if (rest.length < size + 2) return "more";
    if (rest.slice(size, size + 2) !== "\r\n") return "bad";
    body += rest.slice(0, size);
    rest = rest.slice(size + 2);
  }
  while (true) {
    const line = /^([^\n]*)\n/.exec(rest)?.[1];
    if (line === undefined) return "more";
    rest = rest.slice(line.length + 1);
    if (line === "\r") return { body, rest };
    if (!/^[\w!#$%&'*+\-.^`|~]+:[\t\x20-\x7e\x80-\xff]*\r$/.test(line)) return "bad";
  }
}
