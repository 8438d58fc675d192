import { afterEach, expect, test } from "bun:test";
import { createServer as createTcpServer } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { settled, until } from "../../../test/until.ts";
import {
  chunk,
  chunked,
  cleanUp,
  closeAll,
  jsonAnswer,
  listening,
  messageStart,
  openDoor,
  rawEndpoint,
  real,
  scoped,
} from "./model-door.fixture.ts";
import { testCertificate, testKey } from "./tls.fixture.ts";

afterEach(closeAll);

test("an endpoint that breaks off between events ends the stream with an error event", async () => {
  const endpoint = await rawEndpoint(async (socket) => {
    socket.write(chunked(messageStart));
    await Bun.sleep(20);
    socket.destroy();
  });
  const door = await openDoor({ baseUrl: endpoint.url });
  const answer = await door.ask({});
  expect(answer.broken).toBe(false);
  expect(answer.body).toStartWith(messageStart);
  expect(answer.body).toContain("event: error\ndata: ");
  expect(answer.body).toContain(`${new URL(endpoint.url).host} broke off`);
  expect(door.records).toEqual([expect.objectContaining({ status: 200, inputTokens: 7, outputTokens: 1 })]);
});

test("an endpoint that breaks off within an event breaks the stream, and what it used is recorded", async () => {
  const endpoint = await rawEndpoint(async (socket) => {
    socket.write(chunked(`${messageStart}event: content_block_del`));
    await Bun.sleep(20);
    socket.destroy();
  });
  const door = await openDoor({ baseUrl: endpoint.url });
  const answer = await door.ask({});
  expect(answer.broken).toBe(true);
  expect(answer.body).toBe(`${messageStart}event: content_block_del`);
  expect(door.records).toEqual([expect.objectContaining({ status: 200, inputTokens: 7 })]);
});

test("an endpoint that breaks off a JSON answer is not mistaken for a whole one", async () => {
  const endpoint = await rawEndpoint((socket) => socket.end(jsonAnswer('{"model":"m"', 400)));
  const door = await openDoor({ baseUrl: endpoint.url });
  expect((await door.ask({})).broken).toBe(true);
  expect(door.records.length).toBe(1);
});

test("an endpoint that answers nothing, or falls silent, is given up with a message that names it", async () => {
  const mute = await rawEndpoint(() => {});
  const door = await openDoor({ baseUrl: mute.url }, { firstByteMs: 60 });
  const answer = await door.ask({ body: '{"model":"claude-x"}' });
  expect(answer.status).toBe(504);
  expect(answer.headers["x-should-retry"]).toBe("true");
  expect(JSON.parse(answer.body).error.message).toContain(
    `${new URL(mute.url).host} has sent nothing for 0.06 s`,
  );
  expect(door.records).toEqual([expect.objectContaining({ status: 504, model: "claude-x" })]);

  const stalled = await rawEndpoint((socket) => socket.write(chunked(messageStart)));
  const second = await openDoor({ baseUrl: stalled.url }, { idleMs: 60 });
  expect((await second.ask({})).body).toContain("event: error");
  await stalled.closed(1);
});

test("an endpoint that is not there is told by its host, with nothing secret", async () => {
  const door = await openDoor({ baseUrl: "http://127.0.0.1:1" });
  const answer = await door.ask({});
  expect(answer.status).toBe(502);
  expect(JSON.parse(answer.body).error.message).toContain("127.0.0.1:1 cannot be reached");
  expect(door.records).toEqual([expect.objectContaining({ status: 502, inputTokens: 0 })]);
  expect(JSON.stringify([answer, door.log])).not.toContain(real);
});

test("no endpoint, or one that makes no sense, is answered with what to set", async () => {
  for (const baseUrl of [undefined, "ftp://elsewhere", "nonsense"]) {
    const door = await openDoor(baseUrl === undefined ? undefined : { baseUrl });
    const answer = await door.ask({});
    expect(answer.status).toBe(503);
    expect(JSON.parse(answer.body).error.message).toContain("ccw.toml");
    expect(answer.headers["x-should-retry"]).toBe("false");
  }
});

test("a redirect, a compressed answer and a head that is no HTTP are refused", async () => {
  const heads = [
    "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://elsewhere/\r\ncontent-length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\nxx",
    "HTTP/1.1 099 Odd\r\ncontent-length: 0\r\n\r\n",
    "hello\r\n\r\n",
  ];
  for (const head of heads) {
    const endpoint = await rawEndpoint((socket) => socket.end(head));
    const door = await openDoor({ baseUrl: endpoint.url });
    const answer = await door.ask({});
    expect(answer.status).toBe(502);
    expect(answer.headers["location"]).toBeUndefined();
    expect(door.records.length).toBe(1);
  }
});

test("an endpoint that repeats the credential does not give it to the sandbox", async () => {
  const body = `{"error":{"message":"wrong key ${real}"}}`;
  const endpoint = await rawEndpoint((socket) => {
    socket.write(
      `HTTP/1.1 401 No\r\nrequest-id: ${real}\r\nset-cookie: a=b\r\ncontent-length: ${body.length}\r\n\r\n`,
    );
    socket.write(body.slice(0, 40));
    setTimeout(() => socket.end(body.slice(40)), 20);
  });
  const door = await openDoor({ baseUrl: endpoint.url });
  const answer = await door.ask({});
  expect(answer.status).toBe(401);
  expect(answer.body).toBe(body.replace(real, "*".repeat(real.length)));
  expect(answer.headers["set-cookie"]).toBeUndefined();
  expect(JSON.stringify([answer, door.log])).not.toContain(real);
});

test("a request over the limit is refused, by its length or while it comes", async () => {
  const endpoint = await rawEndpoint(() => {});
  const door = await openDoor({ baseUrl: endpoint.url }, { requestBytes: 1024 * 1024 });
  const body = "x".repeat(3 * 1024 * 1024);
  for (const headers of [{ "content-length": body.length }, { "transfer-encoding": "chunked" }]) {
    const answer = await door.ask({ headers: { "x-api-key": scoped, ...headers }, body });
    expect(answer.status).toBe(413);
    expect(JSON.parse(answer.body).error).toEqual({
      type: "request_too_large",
      message: "The request is over the 1 MiB that the model door takes.",
    });
  }
});

test("a request that stops half-way is given up", async () => {
  const endpoint = await rawEndpoint(() => {});
  const door = await openDoor({ baseUrl: endpoint.url }, { uploadIdleMs: 60 });
  const answer = await door.ask({
    headers: { "x-api-key": scoped, "content-length": 100 },
    body: "{",
    unfinished: true,
  });
  expect(answer.status).toBe(408);
  await endpoint.closed(1);
});

test("a sandbox that goes away ends the request at the endpoint, and is recorded", async () => {
  const asked = Promise.withResolvers<void>();
  const answered = Promise.withResolvers<void>();
  const endpoint = await rawEndpoint(async (socket) => {
    asked.resolve();
    if (endpoint.requests.length > 1) socket.write(chunked(messageStart));
  });
  const door = await openDoor({ baseUrl: endpoint.url });
  void door.ask({ leave: asked.promise });
  await endpoint.closed(1);
  expect(door.records.map(({ status }) => status)).toEqual([0]);
  void door.ask({ leave: answered.promise, onHead: answered.resolve });
  await endpoint.closed(2);
  expect(door.records.map(({ status }) => status)).toEqual([0, 200]);
});

test("a sandbox that reads slowly slows the endpoint down", async () => {
  let sent = 0;
  const endpoint = await rawEndpoint((socket) => {
    socket.write("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n");
    const more = () => {
      do sent += 64 * 1024;
      while (socket.write(Buffer.alloc(64 * 1024, "x")) && sent < 64 * 1024 * 1024);
    };
    socket.on("drain", more);
    more();
  });
  const door = await openDoor({ baseUrl: endpoint.url });
  void door.ask({ neverReads: true });
  await until("it sends", () => sent > 0);
  expect(await settled(() => sent)).toBeLessThan(32 * 1024 * 1024);
});

test("a stream outlives the time for which idle connections are kept", async () => {
  const endpoint = await rawEndpoint(async (socket) => {
    socket.write(chunked(messageStart));
    await Bun.sleep(400);
    socket.end(`${chunk("data: late\n\n")}0\r\n\r\n`);
  });
  const door = await openDoor({ baseUrl: endpoint.url }, { keepMs: 100 });
  expect((await door.ask({})).body).toEndWith("data: late\n\n");
});

test("an endpoint that answers before it has read the request is heard", async () => {
  const server = createTcpServer((socket) => {
    socket.once("data", () => {
      socket.pause();
      socket.write(jsonAnswer('{"early":true}'));
    });
    socket.on("error", () => {});
    cleanUp.push(() => socket.destroy());
  });
  const { port } = await listening(server);
  const door = await openDoor({ baseUrl: `http://127.0.0.1:${port}` });
  const answer = await door.ask({ body: "x".repeat(3 * 1024 * 1024) });
  expect(answer).toMatchObject({ status: 200, body: '{"early":true}', broken: false });
});

test("the head of an answer does not wait for its first event", async () => {
  const head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
  const heard = Promise.withResolvers<void>();
  const endpoint = await rawEndpoint(async (socket) => {
    socket.write(head);
    await heard.promise;
    socket.end(`${chunk("data: late\n\n")}0\r\n\r\n`);
  });
  const door = await openDoor({ baseUrl: endpoint.url });
  const answer = await door.ask({ onHead: heard.resolve });
  expect(answer.body).toBe("data: late\n\n");
});

/** A defect has this answer every time; a process that stands still for a second has it once. */
async function unlessPaused<Answer extends { status: number }>(
  ask: () => Promise<Answer>,
  status: number,
): Promise<Answer> {
  let answer = await ask();
  for (let tries = 1; answer.status === status && tries < 5; tries++) answer = await ask();
  return answer;
}

test("a request that comes slowly but steadily is passed on; only then is the endpoint waited for", async () => {
  const endpoint = await rawEndpoint((socket) => setTimeout(() => socket.write(jsonAnswer("{}")), 1200));
  const door = await openDoor({ baseUrl: endpoint.url }, { uploadIdleMs: 1000 });
  const ask = () => door.ask({ body: "x".repeat(30), msBetweenBytes: 40 });
  expect((await unlessPaused(ask, 408)).status).toBe(200);
});

test("an endpoint that takes no connection is given up soon; one that thinks for longer is not", async () => {
  const tls = createTlsServer({ key: testKey, cert: testCertificate }, (socket) => {
    socket.on("error", () => {});
    socket.on("data", () => {
      const json = '{"model":"tls"}';
      setTimeout(
        () => socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${json.length}\r\n\r\n${json}`),
        1200,
      );
    });
    cleanUp.push(() => socket.destroy());
  });
  const baseUrl = `https://localhost:${(await listening(tls)).port}`;
  const door = await openDoor({ baseUrl }, { connectMs: 1000 }, testCertificate);
  // The second one goes over the connection of the first.
  for (let i = 0; i < 2; i++)
    expect((await unlessPaused(() => door.ask({}), 502)).body).toBe('{"model":"tls"}');

  const silentServer = await rawEndpoint(() => {});
  const plain = await openDoor({ baseUrl: silentServer.url }, { connectMs: 1000, firstByteMs: 1200 });
  for (let i = 0; i < 2; i++) expect((await unlessPaused(() => plain.ask({}), 502)).status).toBe(504);
  const mute = await openDoor({ baseUrl: silentServer.url.replace("http:", "https:") }, { connectMs: 100 });
  const answer = await mute.ask({});
  expect(answer.status).toBe(502);
  expect(answer.body).toContain("took no connection within 0.1 s");
});

test("an endpoint with a private authority is trusted only with that authority", async () => {
  const server = createTlsServer({ key: testKey, cert: testCertificate }, (socket) => {
    socket.once("data", () => socket.end(jsonAnswer('{"model":"tls"}')));
    socket.on("error", () => {});
  });
  const { port } = await listening(server);
  const baseUrl = `https://localhost:${port}`;
  const trusting = await openDoor({ baseUrl }, {}, testCertificate);
  expect((await trusting.ask({})).body).toBe('{"model":"tls"}');
  const strict = await openDoor({ baseUrl });
  expect((await strict.ask({})).status).toBe(502);
});
