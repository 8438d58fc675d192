import { afterEach, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type IncomingHttpHeaders, type OutgoingHttpHeaders, request } from "node:http";
import { createServer as createTcpServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer as createTlsServer } from "node:tls";
import { startDemoModel } from "../../demo/serve-demo-model.ts";
import type { SandboxId, TaskId } from "../../domain/ids.ts";
import type { ModelEndpoint, ModelRequest } from "../../domain/model.ts";
import type { ModelDoorLimits } from "./forward.ts";
import { createModelDoor } from "./model-door.ts";
import { testCertificate, testKey } from "./tls.fixture.ts";

const scoped = "scoped-token-of-this-sandbox";
const real = "sk-real-credential-0123456789";

test("the scoped token is swapped for the real credential, and only listed headers pass", async () => {
  const endpoint = await rawEndpoint((socket) => socket.end(jsonAnswer('{"model":"m"}')));
  const door = await openDoor({ baseUrl: `${endpoint.url}/prefix` });
  await door.ask({
    headers: {
      authorization: `Bearer ${scoped}`,
      "anthropic-beta": "a,b",
      "anthropic-version": "2023-06-01",
      "x-stainless-lang": "js",
      cookie: "session=1",
      "x-forwarded-for": "1.2.3.4",
      "proxy-authorization": "Basic eA==",
      "accept-encoding": "gzip, br",
      "x-evil": "1",
      te: "trailers",
    },
    body: '{"model":"m"}',
  });

  const head = endpoint.requests[0] ?? "";
  expect(head).toStartWith("POST /prefix/v1/messages?beta=true HTTP/1.1\r\n");
  expect(head).toEndWith('\r\n\r\n{"model":"m"}');
  const lines = head.split("\r\n\r\n")[0]?.toLowerCase().split("\r\n").slice(1) ?? [];
  expect(new Set(lines)).toEqual(
    new Set([
      "anthropic-beta: a,b",
      "anthropic-version: 2023-06-01",
      "x-stainless-lang: js",
      `x-api-key: ${real}`,
      "accept-encoding: identity",
      "content-length: 13",
      `host: ${new URL(endpoint.url).host}`,
      "connection: keep-alive",
    ]),
  );
  expect(head).not.toContain(scoped);
});

test.each([
  [{}],
  [{ "x-api-key": "" }],
  [{ "x-api-key": "another" }],
  [{ authorization: scoped }],
  [{ authorization: `Basic ${scoped}` }],
  // The attacker's own key beside the right token.
  [{ authorization: `Bearer ${scoped}`, "x-api-key": "sk-of-somebody-else" }],
])("a request that presents %j is refused and goes nowhere", async (headers: OutgoingHttpHeaders) => {
  const endpoint = await rawEndpoint((socket) => socket.end(jsonAnswer("{}")));
  const door = await openDoor({ baseUrl: endpoint.url });
  const answer = await door.ask({ headers });
  expect(answer.status).toBe(401);
  expect(JSON.parse(answer.body)).toMatchObject({ type: "error", error: { type: "authentication_error" } });
  expect(endpoint.requests).toEqual([]);
  expect(door.records).toEqual([]);
});

test("another sandbox's token is refused", async () => {
  const door = await openDoor({ baseUrl: "http://127.0.0.1:1" });
  expect((await door.ask({ headers: { "x-api-key": `${scoped}-of-sbx_2` } })).status).toBe(401);
});

test("a path that is not needed is refused in the API's words; a greeting is answered here", async () => {
  const door = await openDoor({ baseUrl: "http://127.0.0.1:1" });
  const files = await door.ask({ path: "/v1/files" });
  expect(files.status).toBe(404);
  expect(JSON.parse(files.body).error.type).toBe("not_found_error");
  expect((await door.ask({ path: "/v1/messages/..%2ffiles" })).status).toBe(400);
  expect((await door.ask({ method: "HEAD", path: "/", headers: {} })).status).toBe(200);
});

test("a stream passes unchanged and is metered, once", async () => {
  const demo = startDemoModel();
  cleanUp.push(() => demo.close());
  const door = await openDoor({
    baseUrl: demo.baseUrl,
    credential: { header: "authorization", value: `Bearer ${demo.key}` },
  });
  const answer = await door.ask({ body: promptBody("hello", { stream: true }) });
  expect(answer.status).toBe(200);
  expect(answer.headers["content-type"]).toStartWith("text/event-stream");
  expect(answer.body).toStartWith("event: message_start\n");
  expect(answer.body).toEndWith('data: {"type":"message_stop"}\n\n');

  const [record, ...others] = door.records;
  expect(others).toEqual([]);
  const delta = JSON.parse(/data: (.*"message_delta".*)/.exec(answer.body)?.[1] ?? "").usage;
  expect(record).toMatchObject({
    sandboxId: "sbx_1",
    taskId: "tsk_1",
    at: 1000,
    model: "claude-test",
    status: 200,
    inputTokens: delta.input_tokens,
    outputTokens: delta.output_tokens,
    cacheWriteTokens: delta.cache_creation_input_tokens,
  });
  expect(record?.totalMs).toBeGreaterThanOrEqual(record?.firstByteMs ?? Number.NaN);

  const plain = await door.ask({ body: promptBody("hello") });
  expect(JSON.parse(plain.body)).toMatchObject({
    type: "message",
    usage: { output_tokens: delta.output_tokens },
  });
  expect(door.records[1]).toMatchObject({ outputTokens: delta.output_tokens, status: 200 });

  expect((await door.ask({ path: "/v1/messages/count_tokens", body: promptBody("hello") })).body).toContain(
    "input_tokens",
  );
  expect(door.records.length).toBe(2);
});

test("twenty streams at once are all whole and all metered", async () => {
  const demo = startDemoModel();
  cleanUp.push(() => demo.close());
  const door = await openDoor({
    baseUrl: demo.baseUrl,
    credential: { header: "x-api-key", value: demo.key },
  });
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, i) => door.ask({ body: promptBody(`hello ${i}`, { stream: true }) })),
  );
  expect(answers.filter(({ body }) => body.endsWith('{"type":"message_stop"}\n\n')).length).toBe(20);
  expect(door.records.length).toBe(20);
  expect(door.records.every(({ outputTokens, status }) => outputTokens > 0 && status === 200)).toBe(true);
});

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

test("a sandbox that goes away ends the request at the endpoint within a second, and is recorded", async () => {
  const endpoint = await rawEndpoint(async (socket) => {
    if (endpoint.requests.length > 1) socket.write(chunked(messageStart));
  });
  const door = await openDoor({ baseUrl: endpoint.url });
  for (const statusSeen of [0, 200]) {
    const started = performance.now();
    void door.ask({ leaveAfterMs: 100 });
    await endpoint.closed(statusSeen === 0 ? 1 : 2);
    expect(performance.now() - started).toBeLessThan(1100);
    expect(door.records.at(-1)?.status).toBe(statusSeen);
  }
  expect(door.records.length).toBe(2);
});

test("a connection to the endpoint serves one request after another", async () => {
  const json = '{"model":"m"}';
  const head = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${json.length}\r\n\r\n`;
  const endpoint = await rawEndpoint((socket) => socket.write(head + json));
  const door = await openDoor({ baseUrl: endpoint.url });
  for (let i = 0; i < 5; i++) expect((await door.ask({})).body).toBe(json);
  expect(endpoint.connections()).toBe(1);
});

test("a sandbox that reads slowly slows the endpoint down", async () => {
  let sent = 0;
  const endpoint = await rawEndpoint((socket) => {
    socket.write("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n");
    const more = () => {
      while (sent < 64 * 1024 * 1024 && socket.write(Buffer.alloc(64 * 1024, "\n"))) sent += 64 * 1024;
    };
    socket.on("drain", more);
    more();
  });
  const door = await openDoor({ baseUrl: endpoint.url });
  void door.ask({ neverReads: true });
  await Bun.sleep(300);
  const early = sent;
  await Bun.sleep(200);
  expect(sent).toBe(early);
  expect(sent).toBeLessThan(32 * 1024 * 1024);
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
    socket.once("data", () => socket.write(jsonAnswer('{"early":true}')));
    socket.on("error", () => {});
    cleanUp.push(() => socket.destroy());
  });
  const { port } = await listening(server);
  const door = await openDoor({ baseUrl: `http://127.0.0.1:${port}` });
  const answer = await door.ask({ body: "x".repeat(3 * 1024 * 1024) });
  expect(answer).toMatchObject({ status: 200, body: '{"early":true}', broken: false });
});

test("an endpoint that takes no connection is given up soon; one that thinks for longer is not", async () => {
  const tls = createTlsServer({ key: testKey, cert: testCertificate }, (socket) => {
    socket.on("error", () => {});
    socket.on("data", () => {
      const json = '{"model":"tls"}';
      setTimeout(() => socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${json.length}\r\n\r\n${json}`), 250);
    });
    cleanUp.push(() => socket.destroy());
  });
  const baseUrl = `https://localhost:${(await listening(tls)).port}`;
  const door = await openDoor({ baseUrl }, { connectMs: 100 }, testCertificate);
  // The second one goes over the connection of the first.
  for (let i = 0; i < 2; i++) expect((await door.ask({})).body).toBe('{"model":"tls"}');

  const silentServer = await rawEndpoint(() => {});
  const plain = await openDoor({ baseUrl: silentServer.url }, { connectMs: 100, firstByteMs: 250 });
  for (let i = 0; i < 2; i++) expect((await plain.ask({})).status).toBe(504);
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

// ---- the parts around the door ----

const messageStart =
  'event: message_start\ndata: {"type":"message_start","message":{"usage":{"input_tokens":7,"output_tokens":1}}}\n\n';

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const undo of cleanUp.splice(0).reverse()) await undo();
});

function chunk(text: string): string {
  return `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
}

function chunked(firstChunk: string): string {
  return `HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n${chunk(firstChunk)}`;
}

function jsonAnswer(json: string, length = json.length): string {
  return `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\nconnection: close\r\n\r\n${json}`;
}

function promptBody(prompt: string, more: object = {}): string {
  const tools = [{ name: "Bash" }];
  return JSON.stringify({
    model: "claude-test",
    max_tokens: 9,
    tools,
    messages: [{ role: "user", content: prompt }],
    ...more,
  });
}

async function listening(server: ReturnType<typeof createTcpServer>): Promise<{ port: number }> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanUp.push(() => server.close());
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return { port: address.port };
}

/** An endpoint below HTTP: it keeps what came, and answers with whatever bytes the test likes. */
async function rawEndpoint(answer: (socket: Socket) => unknown) {
  const requests: string[] = [];
  let opened = 0;
  let closed = 0;
  const server = createTcpServer((socket) => {
    let received = "";
    opened++;
    cleanUp.push(() => socket.destroy());
    socket.on("error", () => {});
    socket.on("close", () => closed++);
    socket.on("data", (data) => {
      received += data.toString("latin1");
      const length = Number(/content-length: (\d+)/i.exec(received)?.[1] ?? 0);
      const bodyAt = received.indexOf("\r\n\r\n") + 4;
      if (bodyAt < 4 || received.length < bodyAt + length) return;
      requests.push(received);
      received = "";
      void answer(socket);
    });
  });
  const { port } = await listening(server);
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    connections: () => opened,
    /** Resolves when that many connections have ended. */
    async closed(count: number) {
      while (closed < count) await Bun.sleep(5);
    },
  };
}

interface Ask {
  method?: string;
  path?: string;
  headers?: OutgoingHttpHeaders;
  body?: string;
  unfinished?: boolean;
  leaveAfterMs?: number;
  neverReads?: boolean;
}

/** The door behind a real socket, as a sandbox has it. */
async function openDoor(
  endpoint?: { baseUrl: string; credential?: ModelEndpoint["credential"] },
  limits: Partial<ModelDoorLimits> = {},
  ca?: string,
) {
  const records: ModelRequest[] = [];
  const log: unknown[] = [];
  const keep = (...words: unknown[]) => log.push(words);
  const credential: ModelEndpoint["credential"] = { header: "x-api-key", value: real };
  const door = createModelDoor({
    port: {
      endpointFor: () => (endpoint === undefined ? undefined : { kind: "endpoint", credential, ...endpoint }),
      record: (record) => records.push(record),
    },
    tokens: {
      tokenFor: () => scoped,
      matches: (sandboxId, purpose, token) =>
        sandboxId === sandbox.id && purpose === "model" && token === scoped,
    },
    log: { info: keep, warn: keep, error: keep },
    now: () => 1000,
    ca,
    limits,
  });
  const sandbox = { id: "sbx_1" as SandboxId, taskId: "tsk_1" as TaskId };
  const folder = await mkdtemp(join(tmpdir(), "model-door-"));
  const socketPath = join(folder, "door.sock");
  const server = createServer((incoming, response) => {
    void door.handle(sandbox, incoming, response, (incoming.url ?? "").replace(/^\/model/, ""));
  });
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  cleanUp.push(async () => {
    door.close();
    server.closeAllConnections();
    server.close();
    await rm(folder, { recursive: true });
  });

  function ask(options: Ask) {
    const {
      method = "POST",
      path = "/v1/messages?beta=true",
      headers = { "x-api-key": scoped },
      body = "{}",
    } = options;
    return new Promise<{ status: number; headers: IncomingHttpHeaders; body: string; broken: boolean }>(
      (resolve) => {
        let text = "";
        const length = Buffer.byteLength(body);
        const framed = method !== "POST" || "transfer-encoding" in headers;
        const outgoing = request(
          {
            socketPath,
            method,
            path: `/model${path}`,
            headers: framed ? headers : { "content-length": length, ...headers },
            agent: false,
          },
          (answer) => {
            const done = (broken: boolean) =>
              resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: text, broken });
            if (options.neverReads) return;
            answer.setEncoding("utf8");
            answer.on("data", (part) => {
              text += part;
            });
            answer.on("end", () => done(!answer.complete));
            answer.on("error", () => done(true));
          },
        );
        outgoing.on("error", () => resolve({ status: 0, headers: {}, body: text, broken: true }));
        cleanUp.push(() => outgoing.destroy());
        outgoing.write(method === "HEAD" ? "" : body);
        if (!options.unfinished) outgoing.end();
        if (options.leaveAfterMs !== undefined) setTimeout(() => outgoing.destroy(), options.leaveAfterMs);
      },
    );
  }
  return { ask, records, log };
}
