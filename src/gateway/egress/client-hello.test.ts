import { expect, test } from "bun:test";
import { createServer } from "node:net";
import { type ConnectionOptions, connect } from "node:tls";
import fc from "../../../test/properties.ts";
import {
  alpn,
  extension,
  handshake,
  hello,
  number,
  record,
  serverNames,
  vector,
} from "./client-hello.fixture.ts";
import { type HelloRead, readClientHello } from "./client-hello.ts";
import { cuts, trickled } from "./http/pieces.fixture.ts";

/** The first bytes that a real TLS client sends. */
async function realHello(options: ConnectionOptions): Promise<Uint8Array> {
  const { promise, resolve } = Promise.withResolvers<Uint8Array>();
  const server = createServer((socket) => {
    const pieces: Buffer[] = [];
    socket.on("data", (piece) => {
      pieces.push(Buffer.from(piece));
      const bytes = Buffer.concat(pieces);
      if (bytes.length >= 5 && bytes.length >= 5 + bytes.readUInt16BE(3)) {
        socket.destroy();
        resolve(bytes);
      }
    });
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const client = connect({ host: "127.0.0.1", port: address.port, rejectUnauthorized: false, ...options });
  client.on("error", () => {}); // the server hangs up: that is the plan
  try {
    return await promise;
  } finally {
    client.destroy();
    server.close();
  }
}

/** A hello as long as `bytes`, without the record's header. */
function helloOfSize(bytes: number): Buffer {
  const padding = (size: number) => extension(21, Buffer.alloc(size));
  return handshake([
    serverNames("a.example"),
    padding(bytes - handshake([serverNames("a.example"), padding(0)]).length),
  ]);
}

function why(bytes: Uint8Array): string {
  const read = readClientHello(bytes);
  return read.kind === "bad" ? read.why : read.kind;
}

const found: HelloRead = { kind: "hello", serverName: "a.example", alpn: [] };

test("a real client's hello tells the server's name and the protocols", async () => {
  const bytes = await realHello({ servername: "WWW.A.Example", ALPNProtocols: ["h2", "http/1.1"] });
  expect(readClientHello(bytes)).toEqual({
    kind: "hello",
    serverName: "www.a.example",
    alpn: ["h2", "http/1.1"],
  });
  const plain = await realHello({ servername: "a.example", maxVersion: "TLSv1.2" });
  expect(readClientHello(plain)).toEqual(found);
});

test("ATTACKS 31: a real client's hello without a server name is refused", async () => {
  expect(why(await realHello({}))).toBe("no server name");
});

test("a hello made by hand is read", () => {
  expect(readClientHello(hello([serverNames("a.example")]))).toEqual(found);
  expect(
    readClientHello(hello([extension(0x1a1a, number(0, 1)), alpn("h2"), serverNames("A.EXAMPLE")])),
  ).toEqual({
    ...found,
    alpn: ["h2"],
  });
});

test("what comes behind the hello does not matter", () => {
  expect(
    readClientHello(Buffer.concat([hello([serverNames("a.example")]), hello([serverNames("b.example")])])),
  ).toEqual(found);
});

test("ATTACKS 31: no server name", () => {
  expect(why(hello([]))).toBe("no server name");
  expect(why(hello([alpn("h2")]))).toBe("no server name");
  expect(why(hello([], { tail: Buffer.alloc(0) }))).toBe("no server name");
});

test("ATTACKS 31: several server names, in one extension or in two", () => {
  expect(why(hello([serverNames("a.example", "b.example")]))).toBe("several server names");
  expect(why(hello([serverNames("a.example"), serverNames("b.example")]))).toBe("several server names");
  expect(why(hello([serverNames("a.example"), serverNames("a.example")]))).toBe("several server names");
});

test("ATTACKS 31: a server name that no host can have", () => {
  for (const name of [
    "a.example\0",
    "a.example\0.evil.example",
    "a example",
    "caf\xe9.example",
    "a/b",
    "a\r\nb",
    "x".repeat(256),
  ]) {
    expect([name, why(hello([serverNames(name)]))]).toEqual([name, "server name is not a host"]);
  }
  expect(why(hello([serverNames("")]))).toBe("server name is not a host");
});

test("ATTACKS 31: an encrypted client hello, in any of its versions", () => {
  for (const type of [0xfe0d, 0xfe0a, 0xffce]) {
    expect(why(hello([serverNames("a.example"), extension(type, Buffer.alloc(100))]))).toBe(
      "encrypted client hello",
    );
  }
});

test("ATTACKS 31: a hello split over TLS records", () => {
  const message = handshake([serverNames("a.example")]);
  const split = (at: number) =>
    Buffer.concat([record(message.subarray(0, at)), record(message.subarray(at))]);
  for (const at of [0, 1, 3, 4, 5, 43, message.length - 1]) {
    expect([at, why(split(at))]).toEqual([at, "client hello in several TLS records"]);
  }
});

test("ATTACKS 31: more than a hello in its record", () => {
  const message = handshake([serverNames("a.example")]);
  expect(why(record(Buffer.concat([message, handshake([serverNames("b.example")])])))).toBe(
    "more than a client hello in its TLS record",
  );
});

test("ATTACKS 31: a hello larger than a record may be is refused by its announcement", () => {
  expect(readClientHello(record(helloOfSize(16 * 1024)))).toEqual(found);
  const large = helloOfSize(17 * 1024);
  expect(why(record(large).subarray(0, 5))).toBe("larger than 16 KiB");
  const split = Buffer.concat([record(large.subarray(0, 16 * 1024)), record(large.subarray(16 * 1024))]);
  expect(why(split.subarray(0, 9))).toBe("larger than 16 KiB");
});

test("ATTACKS 31: what is not TLS is refused at its first bytes", () => {
  const rows: [bytes: number[], why: string][] = [
    [[0x47], "not TLS"],
    [[...Buffer.from("SSH-2.0-x\r\n")], "not TLS"],
    [[0x80, 0x2e, 0x01, 0x03, 0x01], "not TLS"], // SSLv2
    [[0x17, 3, 3], "not TLS"],
    [[0x15, 3, 1, 0, 2], "not TLS"],
    [[0x16, 2], "not TLS"],
    [[0x16, 3, 4], "not TLS"],
    [[0x16, 0xfe, 0xfd], "not TLS"], // DTLS
    [[0x16, 3, 1, 0, 40, 2], "not a client hello"],
    [[], "more"],
    [[0x16], "more"],
    [[0x16, 3, 1, 1, 0, 1, 0, 0], "more"],
  ];
  for (const [bytes, want] of rows) expect([bytes, why(Uint8Array.from(bytes))]).toEqual([bytes, want]);
});

test("ATTACKS 31: lengths that do not fit are refused", () => {
  const name = serverNames("a.example");
  const wrong: Record<string, Buffer> = {
    "session id over 32 bytes": hello([name], { session: Buffer.alloc(33) }),
    "no cipher suites": hello([name], { ciphers: Buffer.alloc(0) }),
    "half a cipher suite": hello([name], { ciphers: Buffer.alloc(3) }),
    "no compression": hello([name], { compressions: Buffer.alloc(0) }),
    "SSL 2 inside": hello([name], { version: 0x0200 }),
    "extensions too short": hello([], { tail: Buffer.concat([number(5, 2), name]) }),
    "extensions too long": hello([], { tail: Buffer.concat([number(500, 2), name]) }),
    "bytes behind the extensions": hello([], { tail: Buffer.concat([vector(2, name), number(0, 1)]) }),
    "half a length of extensions": hello([], { tail: number(0, 1) }),
    "an extension cut off": hello([name, number(16, 2)]),
    "an extension past the end": hello([name, number(16, 2), number(9, 2)]),
    "the same extension twice": hello([name, alpn("h2"), alpn("h2")]),
    "an empty server name extension": hello([extension(0, Buffer.alloc(0))]),
    "an empty list of names": hello([extension(0, vector(2))]),
    "a name of another type": hello([
      extension(0, vector(2, number(1, 1), vector(2, Buffer.from("a.example")))),
    ]),
    "bytes behind the list of names": hello([
      extension(0, Buffer.concat([vector(2, number(0, 1), vector(2, Buffer.from("a"))), number(0, 1)])),
    ]),
    "a name past its list": hello([extension(0, vector(2, number(0, 1), number(9, 2)))]),
    "no protocols": hello([name, extension(16, vector(2))]),
    "an empty protocol": hello([name, extension(16, vector(2, number(0, 1)))]),
    "a protocol past its list": hello([name, extension(16, vector(2, number(9, 1)))]),
  };
  const verdicts = Object.fromEntries(Object.entries(wrong).map(([what, bytes]) => [what, why(bytes)]));
  expect(verdicts).toEqual(
    Object.fromEntries(Object.keys(wrong).map((what) => [what, "malformed client hello"])),
  );
});

test("a hello split over any TCP segments is read as if it came at once", async () => {
  const real = await realHello({ servername: "a.example", ALPNProtocols: ["http/1.1"] });
  for (let length = 0; length < real.length; length++)
    expect(readClientHello(real.subarray(0, length)).kind).toBe("more");
  fc.assert(
    fc.property(cuts, (places) => {
      expect(trickled(readClientHello, real, places)).toEqual({ ...found, alpn: ["http/1.1"] });
    }),
  );
});

test("a hello with any bytes changed gets an answer, and never a name that is no host", async () => {
  const real = await realHello({ servername: "a.example", ALPNProtocols: ["http/1.1"] });
  const change = fc.tuple(fc.nat({ max: real.length - 1 }), fc.nat({ max: 255 }));
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 8 }), (changes) => {
      const bytes = Buffer.from(real);
      for (const [at, value] of changes) bytes[at] = value;
      const read = readClientHello(bytes);
      if (read.kind === "hello") expect(read.serverName).toMatch(/^[0-9a-z_.:-]+$/);
    }),
    { numRuns: 1000 },
  );
  fc.assert(fc.property(fc.uint8Array(), (noise) => void readClientHello(noise)));
});
