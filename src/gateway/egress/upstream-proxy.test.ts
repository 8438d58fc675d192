import { afterEach, expect, test } from "bun:test";
import {
  type Behaviour,
  client,
  closeEgress,
  get,
  hello,
  openEgress,
  startOrigin,
} from "./egress.fixture.ts";

afterEach(closeEgress);

/** Grants every tunnel, and is the origin at its other end. */
const granting: Behaviour = (socket, bytes) =>
  bytes.toString("latin1").startsWith("CONNECT ")
    ? void socket.write("HTTP/1.1 200 Connection established\r\n\r\n")
    : hello(socket, bytes);

const through = (port: number, password = "s3cret") => ({
  hostname: "127.0.0.1",
  port,
  authorization: `Basic ${Buffer.from(`ada:${password}`).toString("base64")}`,
  resolves: false,
});

test("plain HTTP goes through the upstream proxy's tunnel to the vetted address, and the answer comes back", async () => {
  const proxy = await startOrigin(granting);
  const door = await openEgress({
    names: { "ok.test": ["203.0.113.7"], "in.test": ["10.0.0.1"] },
    allowedRanges: ["203.0.113.0/24"],
    allow: ["ok.test", "in.test"],
    proxy: through(proxy.port),
  });
  const connection = await client(door.socket, get("http://ok.test/a"));
  expect(await connection.until("hello")).toStartWith("HTTP/1.1 200 OK\r\n");
  expect(proxy.received).toStartWith("CONNECT 203.0.113.7:80 HTTP/1.1\r\nHost: 203.0.113.7:80\r\n");
  expect(proxy.received).toContain("Proxy-Authorization: Basic ");
  expect(proxy.received).toContain("GET /a HTTP/1.1\r\nHost: ok.test\r\n");
  const before = proxy.received;
  const refused = await client(door.socket, get("http://in.test/"));
  expect(await refused.until("Reason:")).toContain("X-Deny-Reason: address-not-allowed");
  expect(proxy.received).toBe(before);
});

test("a proxy that refuses, or is not there, is named; its password is not", async () => {
  const proxy = await startOrigin((socket) => void socket.end("HTTP/1.1 407 Who are you\r\n\r\n"));
  for (const [port, words] of [
    [proxy.port, "wants other credentials (407)"],
    [1, "cannot be reached"],
  ] as const) {
    const door = await openEgress({
      names: { "ok.test": ["203.0.113.7"] },
      allowedRanges: ["203.0.113.0/24"],
      allow: ["ok.test"],
      proxy: through(port),
    });
    const connection = await client(door.socket, get("http://ok.test/a"));
    const answer = await connection.until(words);
    expect(answer).toContain(`the upstream proxy 127.0.0.1:${port} ${words}`);
    expect(answer).not.toContain("s3cret");
    expect(answer).not.toContain(Buffer.from("ada:s3cret").toString("base64"));
  }
});
