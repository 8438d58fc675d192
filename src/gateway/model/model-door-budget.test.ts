import { afterEach, expect, test } from "bun:test";
import type { PromptId } from "../../domain/ids.ts";
import type { UsageLimit } from "../../domain/ports.ts";
import { closeAll, jsonAnswer, openDoor, promptBody, rawEndpoint } from "./model-door.fixture.ts";
import { withNote } from "./tell-agent.ts";

afterEach(closeAll);

const promptId = "prm_1" as PromptId;

test("an agent that is to be told finds it behind its user's last words; its answer passes as ever", async () => {
  const endpoint = await rawEndpoint((socket) =>
    socket.end(jsonAnswer('{"model":"m","usage":{"input_tokens":3,"output_tokens":4}}')),
  );
  const door = await openDoor({ baseUrl: endpoint.url }, {}, undefined, {
    admit: () => ({ kind: "tell", promptId, text: "come to an end – bitte" }),
  });
  const answer = await door.ask({ body: promptBody("hello") });
  expect(answer).toMatchObject({ status: 200, broken: false });
  const [head = "", body = ""] = (endpoint.requests[0] ?? "").split("\r\n\r\n");
  const sent = JSON.parse(Buffer.from(body, "latin1").toString("utf8"));
  expect(sent).toEqual({
    ...JSON.parse(promptBody("hello")),
    messages: [
      {
        role: "user",
        content: [
          { type: "text", text: "hello" },
          { type: "text", text: "come to an end – bitte" },
        ],
      },
    ],
  });
  expect(head).toContain(`content-length: ${body.length}`);
  expect(door.records).toMatchObject([{ promptId, model: "m", inputTokens: 3 }]);
});

test("a large request that is told comes whole", async () => {
  const endpoint = await rawEndpoint((socket) => socket.end(jsonAnswer("{}")));
  const door = await openDoor({ baseUrl: endpoint.url }, {}, undefined, {
    admit: () => ({ kind: "tell", promptId, text: "note" }),
  });
  const prompt = "x".repeat(3 * 1024 * 1024);
  expect((await door.ask({ body: promptBody(prompt) })).status).toBe(200);
  expect(endpoint.requests[0]).toContain(`${prompt}"},{"type":"text","text":"note"}]`);
});

test("a request that stops half-way while it is to be told is refused", async () => {
  const door = await openDoor({ baseUrl: "http://127.0.0.1:1" }, { uploadIdleMs: 100 }, undefined, {
    admit: () => ({ kind: "tell", promptId, text: "note" }),
  });
  const answer = await door.ask({
    body: '{"model"',
    headers: { "x-api-key": "scoped-token-of-this-sandbox", "content-length": 100 },
    unfinished: true,
  });
  expect(answer.status).toBe(408);
});

test.each([
  ["no JSON", "{"],
  ["no request", "[1]"],
  ["no tools", JSON.stringify({ messages: [{ role: "user", content: "title?" }] })],
  ["no user", JSON.stringify({ tools: [{}], messages: [{ role: "assistant", content: "x" }] })],
  ["content that is none", JSON.stringify({ tools: [{}], messages: [{ role: "user", content: 7 }] })],
])("%s is sent as it is", (_, body) => {
  expect(withNote(body, "note", "messages")).toBeUndefined();
});

test("the note stands behind tool results, and before what is no user's message", () => {
  const results = [{ type: "tool_result", tool_use_id: "t", content: "ok" }];
  const messages = [
    { role: "user", content: "go" },
    { role: "assistant", content: [] },
    { role: "user", content: results },
    { role: "system", content: "mid" },
  ];
  const told = withNote(JSON.stringify({ model: "m", tools: [{}], messages, x: 1.5 }), "note", "messages");
  expect(JSON.parse(told ?? "")).toEqual({
    model: "m",
    tools: [{}],
    messages: [
      messages[0],
      messages[1],
      { role: "user", content: [...results, { type: "text", text: "note" }] },
      messages[3],
    ],
    x: 1.5,
  });
});

test("a request of a task that is being paused waits, then is refused for good, and goes nowhere", async () => {
  const endpoint = await rawEndpoint((socket) => socket.end(jsonAnswer("{}")));
  const door = await openDoor({ baseUrl: endpoint.url }, { holdMs: 300 }, undefined, {
    admit: () => ({ kind: "park", status: 400, reason: "The task has spent $2.00 of $1.00." }),
  });
  const answer = await door.ask({ body: promptBody("hello") });
  expect(answer.headMs).toBeGreaterThan(250);
  expect(answer).toMatchObject({ status: 400, headers: { "x-should-retry": "false" } });
  expect(JSON.parse(answer.body)).toEqual({
    type: "error",
    error: { type: "invalid_request_error", message: "The task has spent $2.00 of $1.00." },
  });
  expect(endpoint.requests).toEqual([]);
  expect(door.records).toEqual([]);
});

test("a request that a budget has no room for waits until one before it is over, whatever became of that", async () => {
  const endpoint = await rawEndpoint(async (socket) => {
    await Bun.sleep(50);
    socket.end(endpoint.requests.length === 1 ? "no HTTP" : jsonAnswer("{}"));
  });
  let changed = Promise.withResolvers<void>();
  let underWay = 0;
  let most = 0;
  const sizes: number[] = [];
  const door = await openDoor({ baseUrl: endpoint.url }, {}, undefined, {
    admit(_id, bytes) {
      if (underWay > 0) return { kind: "wait", changed: changed.promise };
      sizes.push(bytes);
      most = Math.max(most, ++underWay);
      const settle = () => {
        underWay -= 1;
        changed.resolve();
        changed = Promise.withResolvers();
      };
      return { kind: "pass", promptId, settle };
    },
  });
  const body = promptBody("hello");
  const answers = await Promise.all([1, 2, 3].map(() => door.ask({ body })));
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 502]);
  expect([most, underWay, sizes]).toEqual([1, 0, [body.length, body.length, body.length]]);
});

test("a sandbox that goes away while its request waits leaves none behind", async () => {
  const { promise: changed, resolve: change } = Promise.withResolvers<void>();
  let asked = 0;
  const first = Promise.withResolvers<void>();
  const door = await openDoor({ baseUrl: "http://127.0.0.1:1" }, {}, undefined, {
    admit() {
      asked += 1;
      first.resolve();
      return { kind: "wait", changed };
    },
  });
  expect(await door.ask({ body: promptBody("hello"), leave: first.promise })).toMatchObject({ broken: true });
  await Bun.sleep(50);
  change();
  await Bun.sleep(20);
  expect(asked).toBe(1);
});

test("counting tokens costs nothing and is not asked about", async () => {
  const endpoint = await rawEndpoint((socket) => socket.end(jsonAnswer("{}")));
  const door = await openDoor({ baseUrl: endpoint.url }, {}, undefined, {
    admit: () => ({ kind: "park", status: 400, reason: "no" }),
  });
  expect((await door.ask({ path: "/v1/messages/count_tokens" })).status).toBe(200);
});

test("where nobody can decide, nothing passes", async () => {
  const endpoint = await rawEndpoint((socket) => socket.end(jsonAnswer("{}")));
  const door = await openDoor({ baseUrl: endpoint.url }, {}, undefined, {
    admit: () => {
      throw new Error("disk full");
    },
  });
  expect(await door.ask({})).toMatchObject({ status: 503, headers: { "x-should-retry": "true" } });
  expect(endpoint.requests).toEqual([]);
});

const limitAnswer = (headers: string) =>
  `HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/json\r\n${headers}content-length: 2\r\n\r\n{}`;

test("the account's usage limit is told to the house, and the agent waits for the end of its sandbox", async () => {
  const reset = Math.floor(Date.now() / 1000) + 3600;
  const endpoint = await rawEndpoint((socket) =>
    socket.end(
      limitAnswer(
        `anthropic-ratelimit-unified-status: rejected\r\nanthropic-ratelimit-unified-reset: ${reset}\r\n`,
      ),
    ),
  );
  const limits: UsageLimit[] = [];
  const door = await openDoor({ baseUrl: endpoint.url }, { holdMs: 300 }, undefined, {
    limited: (_, limit) => limits.push(limit),
  });
  const answer = await door.ask({ body: promptBody("hello") });
  expect(answer).toMatchObject({ status: 429, headers: { "x-should-retry": "false" } });
  expect(answer.headMs).toBeGreaterThan(250);
  expect(JSON.parse(answer.body).error.type).toBe("rate_limit_error");
  expect(limits).toHaveLength(1);
  expect(door.records).toMatchObject([{ status: 429, inputTokens: 0 }]);
});

test("a short wait is the agent's own: the answer passes as it is", async () => {
  const endpoint = await rawEndpoint((socket) => socket.end(limitAnswer("retry-after: 7\r\n")));
  const limits: UsageLimit[] = [];
  const door = await openDoor({ baseUrl: endpoint.url }, {}, undefined, {
    limited: (_, limit) => limits.push(limit),
  });
  expect(await door.ask({})).toMatchObject({ status: 429, headers: { "retry-after": "7" }, body: "{}" });
  expect(limits).toEqual([]);
});

test("in the Responses API the note is one more message of the user, where the agent has tools", () => {
  const message = { type: "message", role: "user", content: [{ type: "input_text", text: "go" }] };
  const offered = { type: "additional_tools", role: "developer", tools: [] };
  const told = withNote(JSON.stringify({ model: "m", input: [offered, message] }), "note", "responses");
  expect(JSON.parse(told ?? "").input.at(-1)).toEqual({
    type: "message",
    role: "user",
    content: [{ type: "input_text", text: "note" }],
  });
  expect(withNote(JSON.stringify({ input: [message] }), "note", "responses")).toBeUndefined();
});
