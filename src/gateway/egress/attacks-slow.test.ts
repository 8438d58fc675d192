import { afterEach, expect, test } from "bun:test";
import { hello as clientHello, serverNames } from "./client-hello.fixture.ts";
import { client, closeEgress, connectTo, get, openEgress, startOrigin } from "./egress.fixture.ts";
import { openInspected, reading, soon } from "./inspected.fixture.ts";

afterEach(closeEgress);

/** What in a real door are ten seconds and minutes. */
const waits = {
  head: 200,
  body: 200,
  hello: 200,
  answer: 500,
  stall: 900,
  betweenRequests: 600,
  linger: 200,
};

async function slowDoor(behave?: Parameters<typeof startOrigin>[0], change: Partial<typeof waits> = {}) {
  const origin = await startOrigin(behave);
  const host = `ok.test:${origin.port}`;
  const door = await openEgress({
    names: { "ok.test": ["127.0.0.1"] },
    allow: [`ok.test port=${origin.port} write`],
    waits: { ...waits, ...change },
  });
  return { origin, door, host };
}

test("ATTACKS 35: a head that trickles in → 408, and the connection ends", async () => {
  const { door, host } = await slowDoor();
  const connection = await client(door.socket, `GET http://${host}/ HTTP/1.1\r\n`);
  for (let bytes = 0; !connection.closed && bytes < 2000; bytes++) {
    connection.write("X");
    await Bun.sleep(10);
  }
  expect(connection.text).toStartWith("HTTP/1.1 408 ");
  expect(await door.row()).toMatchObject({ verdict: "refused", reason: "too-slow" });
});

test("ATTACKS 35: a body that stops coming → 408, and both connections end", async () => {
  const { origin, door, host } = await slowDoor(() => {});
  const head = `POST http://${host}/ HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 10\r\n\r\n`;
  const connection = await client(door.socket, `${head}abc`);
  expect(await connection.over()).toStartWith("HTTP/1.1 408 ");
  expect(connection.closed).toBe(true);
  expect(await door.row()).toMatchObject({ verdict: "refused", reason: "too-slow", status: 408 });
  await soon(() => origin.open.size === 0);
});

test("ATTACKS 35: a ClientHello that stops coming, and a handshake that does → closed", async () => {
  const { door, host, origin } = await slowDoor(() => {});
  const half = clientHello([serverNames("ok.test")]).subarray(0, 30);
  const connection = await client(door.socket, connectTo(host));
  await connection.until("\r\n\r\n");
  connection.write(half);
  await connection.over();
  expect(connection.closed).toBe(true);
  expect(await door.row()).toMatchObject({ verdict: "refused", reason: "too-slow" });
  await soon(() => origin.open.size === 0);

  // Between the two, the client's first byte has to come.
  const inspected = await openInspected({ waits: { ...waits, hello: 3000 } });
  const stuck = await client(inspected.door.socket, connectTo(inspected.authority));
  await stuck.until("\r\n\r\n");
  stuck.write(clientHello([serverNames("ok.test")]));
  await stuck.over();
  expect(stuck.closed).toBe(true);
  expect(await inspected.door.row()).toMatchObject({ verdict: "failed", reason: "tls-failed" });
});

test("ATTACKS 35: an origin that never answers → 504; one that stops in its answer → cut", async () => {
  const silent = await slowDoor(() => {});
  const connection = await client(silent.door.socket, get(`http://${silent.host}/`));
  expect(await connection.over()).toStartWith("HTTP/1.1 504 ");
  await soon(() => silent.origin.open.size === 0);

  const stalling = await slowDoor(
    (socket) => void socket.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"),
    { answer: 30_000 },
  );
  const other = await client(stalling.door.socket, get(`http://${stalling.host}/`));
  expect(await other.over()).toEndWith("abc");
  expect(other.closed).toBe(true);
  expect(await stalling.door.row()).toMatchObject({ verdict: "failed", reason: "timeout", status: 200 });
});

test("ATTACKS 35: a connection between two requests ends after a while; in TLS, too", async () => {
  const { door, host } = await slowDoor();
  const connection = await client(door.socket, get(`http://${host}/`));
  await connection.until("hello");
  await connection.over();
  expect(connection.closed).toBe(true);
  const inspected = await openInspected({ waits: { ...waits, hello: 30_000 } });
  const seen = reading(await inspected.open());
  await soon(() => seen.over);
  expect(await inspected.door.row()).toMatchObject({ kind: "tunnel", verdict: "allowed" });
});

test("a kept connection to an origin that a request uses is not taken for idle", async () => {
  let asked = 0;
  const origin = await startOrigin((socket) => {
    asked += 1;
    if (asked === 1) return void socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    socket.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    setTimeout(() => socket.write("world"), 2000);
  });
  const host = `ok.test:${origin.port}`;
  const door = await openEgress({
    names: { "ok.test": ["127.0.0.1"] },
    allow: [`ok.test port=${origin.port}`],
    waits: { idleUpstream: 1000 },
  });
  const connection = await client(door.socket, get(`http://${host}/`) + get(`http://${host}/slow`));
  expect(await connection.until("helloworld")).toEndWith("helloworld");
  expect(origin.connections).toBe(1);
});

test("a reader who is slower than the end of a connection gets all of the answer", async () => {
  const { door, host } = await slowDoor(
    (socket) => {
      socket.end(Buffer.concat([Buffer.from("HTTP/1.1 200 OK\r\n\r\n"), Buffer.alloc(1_500_000, "z")]));
    },
    { stall: 30_000 },
  );
  const connection = await client(door.socket, "");
  connection.socket.pause();
  connection.write(get(`http://${host}/`, "Connection: close"));
  // Longer than a refused client may linger, and shorter than who stalls.
  await Bun.sleep(750);
  connection.socket.resume();
  const text = await connection.over();
  expect(text).toEndWith("0\r\n\r\n");
  expect(text.replace(/[^z]/g, "").length).toBe(1_500_000);
});
