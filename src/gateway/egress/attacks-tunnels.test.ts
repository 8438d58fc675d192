import { afterEach, expect, test } from "bun:test";
import { answerTo } from "./attacks.fixture.ts";
import { alpn, extension, handshake, hello, number, record, serverNames } from "./client-hello.fixture.ts";
import { ask, client, closeEgress, connectTo, get, openEgress, startOrigin } from "./egress.fixture.ts";
import { openInspected, reading, soon } from "./inspected.fixture.ts";

afterEach(closeEgress);

const whole = hello([serverNames("ok.test")]);
const message = handshake([serverNames("ok.test")]);

const hellos: [name: string, bytes: Uint8Array, reason: string][] = [
  ["another server name", hello([serverNames("evil.test")]), "sni-mismatch"],
  ["a name below", hello([serverNames("x.ok.test")]), "sni-mismatch"],
  ["no server name", hello([alpn("http/1.1")]), "not-tls"],
  ["two server names", hello([serverNames("ok.test", "evil.test")]), "not-tls"],
  ["two lists of server names", hello([serverNames("ok.test"), serverNames("evil.test")]), "not-tls"],
  ["ECH", hello([serverNames("ok.test"), extension(0xfe0d, Buffer.alloc(40))]), "not-tls"],
  [
    "a message in two records",
    Buffer.concat([record(message.subarray(0, 20)), record(message.subarray(20))]),
    "not-tls",
  ],
  ["an oversized one", hello([serverNames("ok.test"), extension(0xff, Buffer.alloc(16_300))]), "not-tls"],
  ["a length that lies", Buffer.concat([whole.subarray(0, 3), number(2, 2), whole.subarray(5)]), "not-tls"],
  ["an alert", Buffer.from([0x15, 3, 1, 0, 2, 2, 40]), "not-tls"],
  ["HTTP", Buffer.from("GET / HTTP/1.1\r\nHost: ok.test\r\n\r\n"), "not-tls"],
  ["SSH", Buffer.from("SSH-2.0-OpenSSH_9.9\r\n"), "not-tls"],
  ["noise", Buffer.from("\x00\x01\x02\x03\x04\x05\x06", "latin1"), "not-tls"],
];

for (const inspect of [false, true]) {
  test(`ATTACKS 31: a ClientHello of another host, or none → closed, nothing at the origin (${inspect ? "inspected" : "unread"})`, async () => {
    const origin = await startOrigin();
    const door = await openEgress({
      names: { "ok.test": ["127.0.0.1"] },
      allow: [`ok.test port=${origin.port}${inspect ? " inspect" : ""}`],
    });
    for (const [at, [name, bytes, reason]] of hellos.entries()) {
      const connection = await client(door.socket, connectTo(`ok.test:${origin.port}`));
      await connection.until("\r\n\r\n");
      connection.write(bytes);
      const text = await connection.over();
      connection.destroy();
      // Granted, and then nothing but a fatal alert.
      expect([name, connection.closed, text.replace(/^.*?\r\n\r\n/s, "")]).toEqual([
        name,
        true,
        "\x15\x03\x01\x00\x02\x02\x70",
      ]);
      expect([name, await door.row(at)]).toMatchObject([name, { verdict: "refused", reason, status: 200 }]);
    }
    expect(origin.received).toBe("");
    await soon(() => origin.open.size === 0);
  });
}

test("ATTACKS 31: a ClientHello that comes byte by byte, and before the answer, passes once", async () => {
  const origin = await startOrigin((socket) => void socket.write("answer"));
  const door = await openEgress({
    names: { "ok.test": ["127.0.0.1"] },
    allow: [`ok.test port=${origin.port}`],
  });
  const connection = await client(
    door.socket,
    Buffer.concat([Buffer.from(connectTo(`ok.test:${origin.port}`)), whole.subarray(0, 7)]),
  );
  for (const byte of whole.subarray(7)) {
    connection.write(Uint8Array.of(byte));
    await Bun.sleep(0);
  }
  await connection.until("answer");
  expect(origin.received).toBe(whole.toString("latin1"));
});

test("ATTACKS 31: what an origin says before the client does is not lost", async () => {
  const origin = await startOrigin(() => {});
  const door = await openEgress({
    names: { "ok.test": ["127.0.0.1"] },
    allow: [`ok.test port=${origin.port}`],
  });
  const connection = await client(door.socket, connectTo(`ok.test:${origin.port}`));
  await connection.until("\r\n\r\n");
  await soon(() => origin.open.size === 1);
  for (const socket of origin.open) socket.end("early");
  await Bun.sleep(30);
  connection.write(whole);
  expect(await connection.over()).toEndWith("\r\n\r\nearly");
  expect(connection.closed).toBe(true);
});

test("ATTACKS 32: inside an inspected connection another Host → 421, and nothing at the origin", async () => {
  const { door, origin, authority, open } = await openInspected();
  for (const host of ["evil.test", "ok.test:1", "ok.test", `x.${authority}`, `${authority}@evil.test`]) {
    const tls = await open();
    const seen = reading(tls);
    tls.write(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    await soon(() => seen.over);
    expect([host, seen.text]).toEqual([host, expect.stringMatching(/^HTTP\/1\.1 421 /)]);
    expect(seen.text).toContain("\r\nX-Deny-Reason: misdirected\r\n");
  }
  const tls = await open();
  const seen = reading(tls);
  tls.write(`GET http://evil.test/ HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
  await soon(() => seen.over);
  expect(seen.text).toStartWith("HTTP/1.1 400 ");
  expect(origin.connections).toBe(0);
  expect(door.rows.filter(({ reason }) => reason === "misdirected")).toHaveLength(5);
});

test("ATTACKS 33: a redirect to a denied host goes back to the client, who may not follow it", async () => {
  const origin = await startOrigin(
    (socket) =>
      void socket.write("HTTP/1.1 302 Found\r\nLocation: http://evil.test/in\r\nContent-Length: 0\r\n\r\n"),
  );
  const door = await openEgress({
    names: { "ok.test": ["127.0.0.1"], "evil.test": ["127.0.0.1"] },
    allow: [`ok.test port=${origin.port}`],
  });
  const connection = await client(door.socket, get(`http://ok.test:${origin.port}/`));
  const answer = await connection.until("\r\n\r\n");
  expect(answer).toContain("Location: http://evil.test/in\r\n");
  connection.write(get("http://evil.test/in"));
  expect(await connection.until("HTTP/1.1 403")).toContain("X-Deny-Reason: host-not-allowed");
  expect(door.lookups).toEqual(["ok.test"]);
});

const upgrade = [
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: AA==",
];

test("ATTACKS 33: a WebSocket to a denied host → 403; to an allowed one the upgrade is not passed on", async () => {
  const origin = await startOrigin();
  const door = await openEgress({
    names: { "ok.test": ["127.0.0.1"] },
    allow: [`ok.test port=${origin.port}`],
  });
  expect(await answerTo(door.socket, get("http://evil.test/", ...upgrade))).toStartWith("HTTP/1.1 403 ");
  expect(await answerTo(door.socket, get(`http://ok.test:${origin.port}/`, ...upgrade))).toEndWith("hello");
  expect(origin.received).not.toMatch(/^(upgrade|connection):/im);
});

for (const headers of [[], upgrade]) {
  test(`ATTACKS 33: a switch of protocols that nobody passed on → 502 (${headers.length === 0 ? "unasked" : "asked"})`, async () => {
    const origin = await startOrigin(
      (socket) =>
        void socket.write(
          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        ),
    );
    const door = await openEgress({
      names: { "ok.test": ["127.0.0.1"] },
      allow: [`ok.test port=${origin.port}`],
    });
    const answer = await ask(door.socket, get(`http://ok.test:${origin.port}/`, ...headers));
    expect(answer).toStartWith("HTTP/1.1 502 ");
    expect(answer.match(/HTTP\/1/g)).toHaveLength(1);
    expect(await door.row()).toMatchObject({ verdict: "failed", reason: "bad-answer", status: 502 });
    await soon(() => origin.open.size === 0);
  });
}

test("ATTACKS 34: a client that has ended its side of a tunnel gets the rest of the answer", async () => {
  const origin = await startOrigin(() => {});
  const door = await rawDoor(origin.port);
  const connection = await client(door.socket, connectTo(`raw.test:${origin.port}`));
  await connection.until("\r\n\r\n");
  await soon(() => origin.open.size === 1);
  const [socket] = origin.open;
  socket?.removeAllListeners("end");
  connection.write("question");
  connection.end();
  await new Promise<void>((resolve) => socket?.once("end", () => resolve()));
  expect(origin.received).toBe("question");
  const answer = Buffer.alloc(3_000_000, "a");
  socket?.end(answer);
  const text = await connection.over();
  expect(text.length).toBe("HTTP/1.1 200 Connection Established\r\n\r\n".length + answer.length);
  expect(await door.row()).toMatchObject({ verdict: "allowed", bytesUp: 8, bytesDown: answer.length });
});

test("ATTACKS 34: an origin that has ended its side of a tunnel gets the rest of the question", async () => {
  const origin = await startOrigin(() => {});
  const door = await rawDoor(origin.port);
  const connection = await client(door.socket, connectTo(`raw.test:${origin.port}`));
  await connection.until("\r\n\r\n");
  await soon(() => origin.open.size === 1);
  for (const socket of origin.open) socket.end("bye");
  await connection.over();
  expect(connection.text).toEndWith("bye");
  connection.write(Buffer.alloc(3_000_000, "a"));
  connection.end();
  await soon(() => origin.received.length === 3_000_000);
  expect(await door.row()).toMatchObject({ verdict: "allowed", bytesUp: 3_000_000, bytesDown: 3 });
});

test("ATTACKS 34: a client that ends its side with its request is answered", async () => {
  const origin = await startOrigin((socket, bytes) => {
    if (bytes.includes("end"))
      setTimeout(() => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"), 20);
  });
  const door = await openEgress({
    names: { "ok.test": ["127.0.0.1"] },
    allow: [`ok.test port=${origin.port} write`],
  });
  const connection = await client(
    door.socket,
    `POST http://ok.test:${origin.port}/ HTTP/1.1\r\nHost: ok.test:${origin.port}\r\nContent-Length: 3\r\n\r\nend`,
  );
  connection.end();
  expect(await connection.over()).toEndWith("hello");
});

test("ATTACKS 34: a tunnel in which nothing moves ends, on both sides", async () => {
  const origin = await startOrigin(() => {});
  const door = await rawDoor(origin.port, { idleTunnel: 700 });
  const connection = await client(door.socket, connectTo(`raw.test:${origin.port}`));
  await connection.until("\r\n\r\n");
  await connection.over();
  expect(connection.closed).toBe(true);
  expect(await door.row()).toMatchObject({ verdict: "failed", reason: "timeout" });
  await soon(() => origin.open.size === 0);
});

function rawDoor(port: number, waits = {}) {
  return openEgress({
    names: { "raw.test": ["127.0.0.1"] },
    allow: [`raw.test port=${port} raw`],
    waits,
  });
}
