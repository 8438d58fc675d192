import { afterEach, expect, test } from "bun:test";
import { connect } from "node:net";
import { createDemoModel } from "./demo-model.ts";
import { demoFault, demoRepositoryFiles } from "./demo-repository.ts";
import { scenarios } from "./scenarios.ts";
import { startDemoModel } from "./serve-demo-model.ts";

const model = createDemoModel({ key: "k", now: () => 0 });
const cleanUp: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const undo of cleanUp.splice(0)) await undo();
});

function post(path: string, body: unknown, headers: Record<string, string> = { "x-api-key": "k" }) {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return model.fetch(new Request(`http://demo${path}`, { method: "POST", body: text, headers }));
}

function prompt(text: string, more: object = {}) {
  const tools = [{ name: "Bash" }, { name: "AskUserQuestion" }];
  return { model: "m", max_tokens: 9, tools, messages: [{ role: "user", content: text }], ...more };
}

test("only the right key gets in, in either header", async () => {
  for (const headers of [
    {},
    { "x-api-key": "wrong" },
    { authorization: "Bearer wrong" },
    { authorization: "k" },
  ]) {
    expect((await post("/v1/messages", prompt("x"), headers)).status).toBe(401);
  }
  expect((await post("/v1/messages?beta=true", prompt("x"), { authorization: "Bearer k" })).status).toBe(200);
});

test("what cannot be understood is refused in the API's words", async () => {
  const cases: [string, unknown, number][] = [
    ["/v1/messages", "{", 400],
    ["/v1/messages", { model: "m", messages: [] }, 400],
    ["/v1/files", {}, 404],
  ];
  for (const [path, body, status] of cases) {
    const answer = await post(path, body);
    expect(answer.status).toBe(status);
    expect(await answer.json()).toMatchObject({ type: "error", error: { message: expect.any(String) } });
  }
  expect((await model.fetch(new Request("http://demo/", { method: "HEAD" }))).status).toBe(200);
});

test.each([
  ["Fix the failing test.", "node --test"],
  ["Please mend this: tests are broken", "node --test"],
  ["do this\ndemo: many-tools 3\nthanks", "command 1 of 3"],
  ["Please ask me a question", "Which colour"],
  ["Take long over it", "sleep 1"],
  ["demo: no-such-thing", "git log"],
  ["Write me an operating system", "git log"],
])("%j is played with %j", async (text, expected) => {
  expect(JSON.stringify(await (await post("/v1/messages", prompt(text))).json())).toContain(expected);
});

test("with no scenario named it says what it is and which scenarios there are", async () => {
  const messages = [
    { role: "user", content: "hello" },
    { role: "assistant", content: [{ type: "tool_use", id: "a", name: "Bash", input: {} }] },
    { role: "user", content: [{ type: "tool_result", tool_use_id: "a", content: "/work" }] },
  ];
  const answer = await (await post("/v1/messages", prompt("", { messages }))).json();
  const { text } = answer.content[0];
  expect(text).toStartWith("I am the built-in demo model: a script, not an AI.");
  for (const { name } of scenarios) expect(text).toContain(`demo: ${name}`);
});

test("it is overloaded as often as asked for, for each conversation by itself, and forgets in time", async () => {
  let now = 0;
  const timed = createDemoModel({ key: "k", now: () => now });
  const statuses = async (session: string) => {
    const seen: number[] = [];
    for (let i = 0; i < 3; i++) {
      const body = JSON.stringify(prompt("demo: overloaded 2", { metadata: { user_id: session } }));
      const request = new Request("http://demo/v1/messages", {
        method: "POST",
        body,
        headers: { "x-api-key": "k" },
      });
      seen.push((await timed.fetch(request)).status);
    }
    return seen;
  };
  expect(await statuses("a")).toEqual([529, 529, 200]);
  expect(await statuses("b")).toEqual([529, 529, 200]);
  now = 600_000;
  expect(await statuses("a")).toEqual([529, 529, 200]);
});

test("a slow answer takes its time between the pieces", async () => {
  const pauses: number[] = [];
  const slow = createDemoModel({ key: "k", now: () => 0, sleep: async (ms) => void pauses.push(ms) });
  const body = JSON.stringify(prompt("demo: slow 10", { stream: true }));
  const request = new Request("http://demo/v1/messages", {
    method: "POST",
    body,
    headers: { "x-api-key": "k" },
  });
  await (await slow.fetch(request)).text();
  const total = pauses.reduce((sum, ms) => sum + ms, 0);
  expect(total).toBeCloseTo(5000);
});

/** What comes over the wire until it is closed; `fetch` drops what it has not handed on when a body breaks off. */
async function allSent({ baseUrl, key }: { baseUrl: string; key: string }, body: string): Promise<string> {
  const { hostname, port } = new URL(baseUrl);
  const socket = connect(Number(port), hostname);
  const head = `POST /v1/messages HTTP/1.1\r\nHost: x\r\nX-Api-Key: ${key}\r\nContent-Length: ${Buffer.byteLength(body)}`;
  socket.write(`${head}\r\n\r\n${body}`);
  let said = "";
  socket.on("data", (piece) => {
    said += piece;
  });
  // The server ends it by a reset.
  socket.on("error", () => {});
  await new Promise((closed) => socket.on("close", closed));
  return said;
}

test("over a real socket a cut answer breaks off and a stalled one says nothing more", async () => {
  const running = startDemoModel();
  cleanUp.push(running.close);
  const ask = (text: string, signal?: AbortSignal) =>
    fetch(`${running.baseUrl}/v1/messages`, {
      method: "POST",
      headers: { "x-api-key": running.key },
      body: JSON.stringify(prompt(text, { stream: true })),
      ...(signal === undefined ? {} : { signal }),
    });
  const allOf = (text: string) => allSent(running, JSON.stringify(prompt(text, { stream: true })));
  const cut = await allOf("demo: cut");
  expect(cut).toStartWith("HTTP/1.1 200");
  expect(cut).not.toContain("content_block_stop");
  expect(cut).not.toEndWith("0\r\n\r\n");
  expect(await (await ask("demo: cut")).text()).toContain("message_stop");
  const said = await allOf("demo: broken-off");
  expect(said).toContain("content_block_stop");
  expect(said).not.toContain('"type":"message_stop"');
  expect(said).not.toEndWith("0\r\n\r\n");

  const leaving = new AbortController();
  const stalled = await ask("demo: stall", leaving.signal);
  const reader = stalled.body?.getReader();
  expect(new TextDecoder().decode((await reader?.read())?.value)).toContain("message_start");
  const next = reader?.read().then(
    () => "more",
    () => "aborted",
  );
  setTimeout(() => leaving.abort(), 200);
  let rest = await next;
  // The first read may have held only a part of what was sent before the stall.
  if (rest === "more")
    rest = await reader?.read().then(
      () => "more",
      () => "aborted",
    );
  expect(rest).toBe("aborted");
});

test("the demo repository holds the fault that the script knows how to mend", () => {
  expect(demoRepositoryFiles["src/basket.js"]).toContain(demoFault.wrong);
  expect(demoRepositoryFiles["src/basket.js"]).not.toContain(demoFault.right);
});
