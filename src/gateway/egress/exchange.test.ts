import { afterEach, expect, test } from "bun:test";
import type { Socket } from "node:net";
import { type Behaviour, client, closeEgress, get, openEgress, startOrigin } from "./egress.fixture.ts";
import { soon } from "./inspected.fixture.ts";

afterEach(closeEgress);

async function plain(behave?: Behaviour) {
  const origin = await startOrigin(behave);
  const host = `ok.test:${origin.port}`;
  const door = await openEgress({
    names: { "ok.test": ["127.0.0.1"] },
    allow: [`ok.test port=${origin.port} write`],
  });
  return { origin, door, host, url: `http://${host}/` };
}

const ok = (body: string) => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

/** Answers the first request of a connection, and hangs up at the second without a word. */
function hangsUpAtTheSecond(): Behaviour {
  const seen = new Set<Socket>();
  return (socket) => {
    if (seen.has(socket)) return void socket.end();
    seen.add(socket);
    socket.write(ok("hello"));
  };
}

test("a request that met a closing connection is sent again, once", async () => {
  const { origin, door, url } = await plain(hangsUpAtTheSecond());
  const connection = await client(door.socket, get(url));
  await connection.until("hello");
  connection.write(get(`${url}again`));
  await connection.until(/hello[\s\S]*hello/);
  await Bun.sleep(50);
  expect(origin.received.match(/GET \/again/g)).toHaveLength(2);
  expect(origin.connections).toBe(2);
  expect(connection.text.match(/HTTP\/1/g)).toHaveLength(2);
  expect(await door.row(1)).toMatchObject({ verdict: "allowed", status: 200 });
});

test("what must not be done twice is not sent again", async () => {
  const { origin, door, url, host } = await plain(hangsUpAtTheSecond());
  const connection = await client(door.socket, get(url));
  await connection.until("hello");
  connection.write(`POST ${url}again HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  expect(await connection.over()).toContain("HTTP/1.1 502 ");
  expect(origin.received.match(/POST \/again/g)).toHaveLength(1);
});

test("an origin's connection serves on after an answer that the client took slowly", async () => {
  const big = "z".repeat(3_000_000);
  const { origin, door, url } = await plain((socket, bytes) => {
    socket.write(bytes.includes("/big") ? ok(big) : ok("small"));
  });
  const connection = await client(door.socket, "");
  for (let round = 1; round <= 3; round++) {
    connection.socket.pause();
    connection.write(get(`${url}big`));
    await Bun.sleep(60);
    connection.socket.resume();
    await soon(() => connection.text.length > round * big.length);
    connection.write(get(`${url}small`));
    await soon(() => connection.text.endsWith("small"));
  }
  expect(origin.connections).toBe(1);
});

test("bytes behind an answer are not taken for the next one", async () => {
  const { origin, door, url } = await plain((socket, bytes) => {
    socket.write(`${ok("hello")}${bytes.includes("/one") ? ok("forged") : ""}`);
  });
  const connection = await client(door.socket, get(`${url}one`));
  await connection.until("hello");
  connection.write(get(`${url}two`));
  await connection.until(/hello[\s\S]*hello/);
  expect(connection.text).not.toContain("forged");
  expect(origin.connections).toBe(2);
});

test("a body that an answer to HEAD announces and then sends after all meets no other request", async () => {
  const { origin, door, url, host } = await plain((socket, bytes) => {
    if (!bytes.includes("HEAD")) return void socket.write(ok("hello"));
    socket.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
    setTimeout(() => socket.write("forgotten"), 5);
  });
  const connection = await client(door.socket, `HEAD ${url} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  expect(await connection.until("\r\n\r\n")).toContain("Content-Length: 9\r\n");
  connection.write(get(url));
  expect(await connection.until("hello")).toEndWith("hello");
  expect(origin.connections).toBe(2);
});

test("pipelined requests are answered in order, each once", async () => {
  const { origin, door, url } = await plain((socket, bytes) => {
    for (const [, path = ""] of bytes.toString().matchAll(/GET \/(\w+)/g)) socket.write(ok(path));
  });
  const paths = Array.from({ length: 20 }, (_, index) => `p${index}x`);
  const connection = await client(door.socket, paths.map((path) => get(url + path)).join(""));
  connection.end();
  const text = await connection.over();
  expect([...(text.match(/p\d+x/g) ?? [])]).toEqual(paths);
  expect(connection.closed).toBe(true);
  expect(origin.connections).toBe(1);
});

test("requests that were pipelined and not allowed are answered, and the connection ends with the client's side", async () => {
  const { door, url } = await plain();
  const connection = await client(door.socket, get(url) + get("http://no.test/"));
  connection.end();
  const text = await connection.over();
  expect(connection.closed).toBe(true);
  expect(text).toMatch(/^HTTP\/1\.1 200 [\s\S]*helloHTTP\/1\.1 403 /);
});

test("who asked for the connection to be closed sees it closed, after a refusal too", async () => {
  const { door, url } = await plain();
  for (const target of [url, "http://no.test/"]) {
    const connection = await client(door.socket, get(target, "Connection: close"));
    expect(await connection.over()).toContain("\r\nConnection: close\r\n");
    expect(connection.closed).toBe(true);
  }
});

test("chunks become an end of the connection for HTTP/1.0, and an end becomes chunks for HTTP/1.1", async () => {
  const chunks = await plain(
    (socket) =>
      void socket.write(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nT: t\r\n\r\n",
      ),
  );
  const old = await client(
    chunks.door.socket,
    `GET ${chunks.url} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n`,
  );
  expect(await old.over()).toBe("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello");
  expect(old.closed).toBe(true);
  const ends = await plain((socket) => void socket.end("HTTP/1.0 200 OK\r\n\r\nhello"));
  const kept = await client(ends.door.socket, get(ends.url));
  expect(await kept.until(/0\r\n\r\n$/)).toBe(
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
  );
});

test("a client that waits for leave to send its body gets it; one of HTTP/1.0 is not told what it does not know", async () => {
  const { door, url, host } = await plain((socket, bytes) => {
    if (bytes.includes("body")) socket.write(ok("hello"));
  });
  const head = `Host: ${host}\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n`;
  const connection = await client(door.socket, `POST ${url} HTTP/1.1\r\n${head}`);
  expect(await connection.until("\r\n\r\n")).toBe("HTTP/1.1 100 Continue\r\n\r\n");
  connection.write("body");
  expect(await connection.until("hello")).toContain("HTTP/1.1 200 OK");
  const old = await client(door.socket, `POST ${url} HTTP/1.0\r\n${head}`);
  await Bun.sleep(50);
  expect(old.text).toBe("");
});

test("an answer that comes before the body is all sent reaches the client, and the connection ends", async () => {
  const { origin, door, url, host } = await plain(
    (socket) => void socket.write("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"),
  );
  const connection = await client(
    door.socket,
    `POST ${url} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 1000000\r\n\r\nbegin`,
  );
  expect(await connection.over()).toEndWith("no");
  expect(connection.closed).toBe(true);
  await soon(() => origin.open.size === 0);
  expect(await door.row()).toMatchObject({ verdict: "allowed", status: 413 });
});

test("a body that ends too early → 400, and the origin does not take it for whole", async () => {
  const { origin, door, url, host } = await plain(() => {});
  const connection = await client(
    door.socket,
    `POST ${url} HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n`,
  );
  connection.end();
  expect(await connection.over()).toStartWith("HTTP/1.1 400 ");
  await soon(() => origin.open.size === 0);
  expect(origin.received).not.toContain("0\r\n\r\n");
});

test("very small chunks go on as few large ones, both ways", async () => {
  const tiny = (count: number) => `${"1\r\nz\r\n".repeat(count)}0\r\n\r\n`;
  let seen = "";
  const { origin, door, url, host } = await plain((socket, bytes) => {
    seen += bytes.toString();
    if (!seen.endsWith("\r\n0\r\n\r\n")) return;
    socket.write(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${tiny(20_000)}`);
  });
  const connection = await client(
    door.socket,
    `POST ${url} HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\n${tiny(20_000)}`,
  );
  const text = await connection.until(/\r\n0\r\n\r\n$/);
  for (const all of [text, origin.received]) {
    expect(all.replace(/[^z]/g, "").length).toBe(20_000);
    expect(all.length).toBeLessThan(21_000);
  }
});
