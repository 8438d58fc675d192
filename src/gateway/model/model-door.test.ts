import { afterEach, expect, test } from "bun:test";
import type { OutgoingHttpHeaders } from "node:http";
import { startDemoModel } from "../../demo/serve-demo-model.ts";
import {
  cleanUp,
  closeAll,
  jsonAnswer,
  openDoor,
  promptBody,
  rawEndpoint,
  real,
  scoped,
} from "./model-door.fixture.ts";

afterEach(closeAll);

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

test("a connection to the endpoint serves one request after another", async () => {
  const json = '{"model":"m"}';
  const head = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${json.length}\r\n\r\n`;
  const endpoint = await rawEndpoint((socket) => socket.write(head + json));
  const door = await openDoor({ baseUrl: endpoint.url });
  for (let i = 0; i < 5; i++) expect((await door.ask({})).body).toBe(json);
  expect(endpoint.connections()).toBe(1);
});
