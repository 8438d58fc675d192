import { afterEach, expect, test } from "bun:test";
import { answerTo } from "./attacks.fixture.ts";
import {
  ask,
  client,
  closeEgress,
  connectTo,
  get,
  type Origin,
  openEgress,
  startOrigin,
} from "./egress.fixture.ts";
import { openInspected, reading, soon } from "./inspected.fixture.ts";

afterEach(closeEgress);

async function plain(behave?: Parameters<typeof startOrigin>[0]) {
  const origin = await startOrigin(behave);
  const host = `ok.test:${origin.port}`;
  const door = await openEgress({
    names: { "ok.test": ["127.0.0.1"] },
    allow: [`ok.test port=${origin.port} write`, `raw.test port=${origin.port} raw`],
  });
  return { origin, door, host };
}

const chunked = "Transfer-Encoding: chunked";
const smuggled = "GET /smuggled HTTP/1.1\r\nHost: ok.test\r\n\r\n";

/** What two readers could take for two requests; `rest` stands behind the request line and Host. */
const twoFaced: [name: string, rest: string][] = [
  ["both lengths", `Content-Length: 4\r\n${chunked}\r\n\r\n0\r\n\r\n${smuggled}`],
  ["both lengths, the other way round", `${chunked}\r\nContent-Length: 4\r\n\r\n0\r\n\r\n${smuggled}`],
  ["two lengths", `Content-Length: 0\r\nContent-Length: 41\r\n\r\n${smuggled}`],
  ["the same length twice", `Content-Length: 2\r\nContent-Length: 2\r\n\r\nab${smuggled}`],
  ["a list of lengths", `Content-Length: 2, 2\r\n\r\nab${smuggled}`],
  ["a length with a sign", `Content-Length: +2\r\n\r\nab${smuggled}`],
  ["a negative length", `Content-Length: -1\r\n\r\n${smuggled}`],
  ["a length in hexadecimal", `Content-Length: 0x2\r\n\r\nab${smuggled}`],
  ["a length with an underscore", `Content-Length: 1_0\r\n\r\n${smuggled}`],
  ["an empty length", `Content-Length:\r\n\r\n${smuggled}`],
  ["xchunked", `Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${smuggled}`],
  ["chunked twice", `${chunked}\r\n${chunked}\r\n\r\n0\r\n\r\n${smuggled}`],
  ["chunked, identity", `Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${smuggled}`],
  ["gzip, chunked", `Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n${smuggled}`],
  ["chunked with a vertical tab", `Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n${smuggled}`],
  ["a space before the colon", `Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n${smuggled}`],
  ["a space before Host's colon", "Host : evil.test\r\n\r\n"],
  ["a folded line", `X-A: b\r\n Content-Length: 5\r\n\r\n${smuggled}`],
  ["a folded coding", `Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n${smuggled}`],
  ["a bare line feed", `X-A: b\nContent-Length: 5\r\n\r\n${smuggled}`],
  ["a bare carriage return", `X-A: b\rContent-Length: 5\r\n\r\n${smuggled}`],
  ["an empty line of bare line feeds", "X-A: b\n\n"],
  ["NUL in a value", "X-A: b\0c\r\n\r\n"],
  ["a name that is none", "X(A): b\r\n\r\n"],
  ["no colon", "X-A\r\n\r\n"],
  ["an empty name", ": b\r\n\r\n"],
  ["Host twice", "Host: ok.test\r\n\r\n"],
  ["a chunk size that is none", `${chunked}\r\n\r\nxyz\r\nabc\r\n0\r\n\r\n`],
  ["a chunk size with a sign", `${chunked}\r\n\r\n+3\r\nabc\r\n0\r\n\r\n`],
  ["a chunk size in 0x", `${chunked}\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n`],
  ["a chunk size that overflows", `${chunked}\r\n\r\n10000000000000003\r\nabc\r\n0\r\n\r\n`],
  ["a chunk extension", `${chunked}\r\n\r\n3;x=y\r\nabc\r\n0\r\n\r\n`],
  ["a chunk size behind a space", `${chunked}\r\n\r\n 3\r\nabc\r\n0\r\n\r\n`],
  ["a chunk size with a bare line feed", `${chunked}\r\n\r\n3\nabc\r\n0\r\n\r\n`],
  ["a chunk that is longer than it says", `${chunked}\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n`],
  ["an extension on the last chunk", `${chunked}\r\n\r\n0;x\r\n\r\n`],
  ["a folded trailer", `${chunked}\r\n\r\n0\r\nX: y\r\n z\r\n\r\n`],
];

for (const [name, rest] of twoFaced) {
  test(`ATTACKS 26: ${name} → 400, and the connection ends`, async () => {
    const { origin, door, host } = await plain();
    const answer = await ask(door.socket, `POST http://${host}/ HTTP/1.1\r\nHost: ${host}\r\n${rest}`);
    expect(answer).toMatch(/^HTTP\/1\.1 400 [\s\S]*\r\nConnection: close\r\n/);
    expect(answer.match(/HTTP\/1/g)).toHaveLength(1);
    expect(origin.received).not.toContain("smuggled");
    expect(origin.received).not.toContain("0\r\n\r\n");
    expect(await door.row()).toMatchObject({ verdict: "refused", status: 400 });
  });
}

test("ATTACKS 26: Transfer-Encoding on HTTP/1.0 → 400", async () => {
  const { origin, door, host } = await plain();
  const answer = await ask(door.socket, `POST http://${host}/ HTTP/1.0\r\n${chunked}\r\n\r\n0\r\n\r\n`);
  expect(answer).toStartWith("HTTP/1.1 400 ");
  expect(origin.connections).toBe(0);
});

test("ATTACKS 26: the same inside an inspected connection", async () => {
  const { door, origin, authority, open } = await openInspected();
  for (const [name, rest] of twoFaced) {
    const tls = await open();
    const seen = reading(tls);
    tls.write(Buffer.from(`POST / HTTP/1.1\r\nHost: ${authority}\r\n${rest}`, "latin1"));
    await soon(() => seen.over);
    expect([name, seen.text]).toEqual([name, expect.stringMatching(/^HTTP\/1\.1 400 /)]);
    expect([name, seen.text.match(/HTTP\/1/g)?.length]).toEqual([name, 1]);
    tls.destroy();
  }
  expect(origin.received).not.toContain("smuggled");
  expect(door.rows.filter(({ status }) => status === 400)).toHaveLength(twoFaced.length);
}, 180_000);

test("ATTACKS 27: trailers never arrive, as headers or otherwise", async () => {
  const { origin, door, host } = await plain();
  const body = "3\r\nabc\r\n0\r\nAuthorization: Bearer x\r\nContent-Length: 9\r\n\r\n";
  await client(
    door.socket,
    `POST http://${host}/ HTTP/1.1\r\nHost: ${host}\r\nTrailer: Authorization\r\n${chunked}\r\n\r\n${body}`,
  );
  await soon(() => origin.received.endsWith("\r\n0\r\n\r\n"));
  expect(origin.received).toBe(`POST / HTTP/1.1\r\nHost: ${host}\r\n${chunked}\r\n\r\n3\r\nabc\r\n0\r\n\r\n`);
});

test("ATTACKS 27: an origin's trailers are dropped, too", async () => {
  const { door, host } = await plain((socket) =>
    socket.write(`HTTP/1.1 200 OK\r\n${chunked}\r\n\r\n3\r\nabc\r\n0\r\nSet-Cookie: a=b\r\n\r\n`),
  );
  const answer = await (await client(door.socket, get(`http://${host}/`))).until(/\r\n0\r\n[\s\S]*\r\n$/);
  expect(answer).toBe(`HTTP/1.1 200 OK\r\n${chunked}\r\n\r\n3\r\nabc\r\n0\r\n\r\n`);
});

test("ATTACKS 27: what belongs to one connection goes no further", async () => {
  const { origin, door, host } = await plain();
  const headers = [
    "Connection: keep-alive, X-Secret-Hop",
    "X-Secret-Hop: 1",
    "Proxy-Authorization: Basic eDp5",
    "Proxy-Connection: keep-alive",
    "Keep-Alive: timeout=5",
    "TE: trailers",
    "Upgrade: h2c",
    "HTTP2-Settings: AAMAAABkAAQAAP__",
    "Content_Length: 5",
    "Proxy_Authorization: x",
    "X-Kept: yes",
  ];
  await answerTo(door.socket, get(`http://${host}/`, ...headers));
  expect(origin.received).toBe(`GET / HTTP/1.1\r\nHost: ${host}\r\nX-Kept: yes\r\n\r\n`);
});

test("ATTACKS 28: duplicate or other Host, CONNECT with a body → 400 and no look-up", async () => {
  const { origin, door, host } = await plain();
  const requests = [
    `GET http://${host}/ HTTP/1.1\r\nHost: ${host}\r\nHost: ${host}\r\n\r\n`,
    `GET http://${host}/ HTTP/1.1\r\nHost: evil.test\r\n\r\n`,
    `GET http://${host}/ HTTP/1.1\r\nHost: ok.test\r\n\r\n`,
    `GET http://${host}/ HTTP/1.1\r\n\r\n`,
    `GET http://${host}/ HTTP/1.1\r\nHost:\r\n\r\n`,
    `CONNECT ${host} HTTP/1.1\r\nHost: evil.test:${origin.port}\r\n\r\n`,
    `CONNECT ${host} HTTP/1.1\r\nHost: ok.test:1\r\n\r\n`,
    `CONNECT ${host} HTTP/1.1\r\nHost: ${host}\r\nHost: ${host}\r\n\r\n`,
    `CONNECT ${host} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 3\r\n\r\nabc`,
    `CONNECT ${host} HTTP/1.1\r\nHost: ${host}\r\n${chunked}\r\n\r\n0\r\n\r\n`,
  ];
  for (const request of requests) {
    const answer = await ask(door.socket, request);
    expect([request, answer]).toEqual([request, expect.stringMatching(/^HTTP\/1\.1 400 /)]);
  }
  expect(door.lookups).toEqual([]);
  expect(origin.connections).toBe(0);
  expect(door.rows.map(({ status }) => status)).toEqual(requests.map(() => 400));
});

test("ATTACKS 29: an oversized head → 431, wherever it is too large", async () => {
  const { origin, door, host } = await plain();
  const many = Array.from({ length: 201 }, (_, index) => `X-${index}: y`);
  for (const request of [
    get(`http://${host}/`, `X: ${"y".repeat(70_000)}`),
    get(`http://${host}/`, ...many),
    get(`http://${host}/${"y".repeat(20_000)}`),
    `GET http://${host}/${"y".repeat(100_000)}`,
    `CONNECT ${host} HTTP/1.1\r\nX: ${"y".repeat(70_000)}`,
  ]) {
    expect(await ask(door.socket, request)).toStartWith("HTTP/1.1 431 ");
  }
  expect(origin.connections).toBe(0);
});

test("ATTACKS 29: a CONNECT head cut at any byte works, and what follows it arrives once and in order", async () => {
  const { door, origin } = await splitting();
  const head = connectTo(`raw.test:${origin.port}`);
  const sent = `${head}first-second`;
  for (let at = 1; at < sent.length; at++) {
    const before = origin.received.length;
    const connection = await client(door.socket, sent.slice(0, at));
    await Bun.sleep(1);
    connection.write(sent.slice(at));
    await connection.until("\r\n\r\n");
    connection.write("-third");
    await soon(() => origin.received.length >= before + 18);
    expect([at, origin.received.slice(before)]).toEqual([at, "first-second-third"]);
    connection.destroy();
  }
});

async function splitting(): Promise<{ door: Awaited<ReturnType<typeof openEgress>>; origin: Origin }> {
  const origin = await startOrigin(() => {});
  const names = { "raw.test": ["127.0.0.1"] };
  return { origin, door: await openEgress({ names, allow: [`raw.test port=${origin.port} raw`] }) };
}
