import { afterEach, expect, test } from "bun:test";
import { createServer, type Socket } from "node:net";
import { createForgeFetch } from "./forge-fetch.ts";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

/** A server of raw bytes: each connection gets one answer, whatever it asks. */
async function serve(
  answer: (head: string, socket: Socket) => void,
): Promise<{ url: string; heads: string[] }> {
  const heads: string[] = [];
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", (data) => {
      heads.push(data.toString());
      answer(data.toString(), socket);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(() => server.close());
  const address = server.address();
  return { url: `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`, heads };
}

const network = { proxy: undefined, authorities: undefined };
const authorization = { authorization: "Bearer s3cret" };

test("half an answer is no answer, however it ends", async () => {
  for (const bytes of [
    'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"a":1}',
    'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n7\r\n{"a":1}\r\n',
    'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n{"a":',
  ]) {
    const { url } = await serve((_, socket) => socket.end(bytes));
    const fetch = createForgeFetch({ network, origin: url });
    await expect(fetch(`${url}/x`)).rejects.toMatchObject({ code: "unavailable" });
  }
});

test("an answer without end is cut, and silence ends", async () => {
  const endless = await serve((_, socket) => {
    socket.write("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n");
    const timer = setInterval(() => socket.write("x".repeat(64 * 1024)), 1);
    socket.on("close", () => clearInterval(timer));
  });
  const bounded = createForgeFetch({ network, origin: endless.url, maxAnswerBytes: 1024 ** 2 });
  await expect(bounded(endless.url)).rejects.toMatchObject({ code: "too_large" });
  const mute = await serve(() => {});
  const short = createForgeFetch({ network, origin: mute.url, withinMs: 50 });
  await expect(short(mute.url)).rejects.toThrow("has not answered within 0.05 s");
});

test("a redirect within the origin is followed for reading; a credential goes nowhere else", async () => {
  const other = await serve((_, socket) => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"));
  const moved = (to: string) =>
    `HTTP/1.1 301 Moved\r\nlocation: ${to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`;
  const { url, heads } = await serve((head, socket) => {
    if (head.startsWith("GET /old ") || head.startsWith("POST ")) socket.end(moved("/new"));
    else if (head.startsWith("GET /away ")) socket.end(moved(`${other.url}/steal`));
    else if (head.startsWith("GET /round ")) socket.end(moved("/round"));
    else socket.end("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
  });
  const fetch = createForgeFetch({ network, origin: url });
  const found = await fetch(`${url}/old`, { headers: authorization });
  expect([found.status, found.url, await found.text()]).toEqual([200, `${url}/new`, "ok"]);
  expect((await fetch(`${url}/away`, { headers: authorization })).status).toBe(301);
  expect((await fetch(`${url}/round`)).status).toBe(301);
  expect((await fetch(`${url}/post`, { method: "POST", body: "{}" })).status).toBe(301);
  await expect(fetch(`${other.url}/x`, { headers: authorization })).rejects.toMatchObject({
    code: "forbidden",
  });
  expect(other.heads).toEqual([]);
  expect(heads.filter((head) => head.startsWith("GET /round ")).length).toBe(4);
});

test("the company's proxy is asked, with its own credentials", async () => {
  const proxy = await serve((_, socket) => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"));
  const address = proxy.url.replace("http://", "http://ada:pass@");
  const fetch = createForgeFetch({
    ...{ origin: "http://forge.example", network: { proxy: address, authorities: undefined } },
  });
  expect(await (await fetch("http://forge.example/api")).text()).toBe("ok");
  expect(proxy.heads[0]).toContain("GET http://forge.example/api HTTP/1.1");
  expect(proxy.heads[0]?.toLowerCase()).toContain("proxy-authorization: basic ");
});
