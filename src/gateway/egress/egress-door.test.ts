import { afterEach, expect, test } from "bun:test";
import {
  ask,
  client,
  closeEgress,
  connectTo,
  get,
  openEgress,
  startOrigin,
  startTlsOrigin,
  tlsThrough,
} from "./egress.fixture.ts";

afterEach(closeEgress);

test("plain HTTP goes to the vetted address, and the answer comes back; the ledger says so", async () => {
  const origin = await startOrigin();
  const door = await openEgress({
    names: { "ok.test": ["127.0.0.1"] },
    allow: [`ok.test port=${origin.port}`],
  });
  const connection = await client(door.socket, get(`http://ok.test:${origin.port}/a?b=c`));
  expect(await connection.until("hello")).toStartWith("HTTP/1.1 200 OK\r\n");
  connection.write(get(`http://ok.test:${origin.port}/second`));
  await connection.until(/hello[\s\S]*hello/);
  expect(origin.received).toContain(`GET /a?b=c HTTP/1.1\r\nHost: ok.test:${origin.port}\r\n`);
  expect(origin.received).toContain("GET /second HTTP/1.1");
  expect(origin.connections).toBe(1);
  expect(await door.row()).toMatchObject({
    kind: "http",
    host: "ok.test",
    port: origin.port,
    method: "GET",
    path: "/a?b=c",
    address: "127.0.0.1",
    verdict: "allowed",
    status: 200,
  });
  expect(door.lookups).toEqual(["ok.test"]);
});

test("a refusal says what, why and that a person was asked", async () => {
  const door = await openEgress();
  const answer = await ask(door.socket, get("http://no.test/", "Connection: close"));
  expect(answer).toStartWith(
    "HTTP/1.1 403 Forbidden (ccw-server: host-not-allowed)\r\nX-Deny-Reason: host-not-allowed\r\n",
  );
  expect(answer).toContain("no.test");
  expect(door.lookups).toEqual([]);
  expect(door.asked).toEqual([{ host: "no.test", port: 80, reason: "host-not-allowed" }]);
});

test("a tunnel carries TLS unread", async () => {
  const door0 = await openEgress();
  const origin = await startTlsOrigin(await door0.authority.leafFor("ok.test"));
  const door = await openEgress({
    names: { "ok.test": ["127.0.0.1"] },
    allow: [`ok.test port=${origin.port}`],
  });
  const tls = await tlsThrough(door.socket, `ok.test:${origin.port}`, {
    servername: "ok.test",
    ca: door0.authority.certificatePem,
  });
  tls.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  const bytes = await new Promise<string>((resolve) => tls.once("data", (b) => resolve(String(b))));
  expect(bytes).toContain("hello");
  tls.end();
  expect(await door.row()).toMatchObject({ kind: "tunnel", verdict: "allowed" });
});

test("an inspected host is read", async () => {
  const door0 = await openEgress();
  const ca = `/tmp/ca-${Math.random()}.pem`;
  await Bun.write(ca, door0.authority.certificatePem);
  const origin = await startTlsOrigin(await door0.authority.leafFor("ok.test"));
  const door = await openEgress({
    names: { "ok.test": ["127.0.0.1"] },
    caFile: ca,
    allow: [`ok.test port=${origin.port} inspect`],
  });
  const tls = await tlsThrough(door.socket, `ok.test:${origin.port}`, {
    servername: "ok.test",
    ca: door.authority.certificatePem,
  });
  tls.write(`GET /inner HTTP/1.1\r\nHost: ok.test:${origin.port}\r\n\r\n`);
  const bytes = await new Promise<string>((resolve) => tls.once("data", (b) => resolve(String(b))));
  expect(bytes).toContain("hello");
  tls.end();
  expect(await door.row(1)).toMatchObject({
    kind: "inspected",
    method: "GET",
    path: "/inner",
    verdict: "allowed",
    status: 200,
  });
  void connectTo;
});
