import { afterEach, expect, test } from "bun:test";
import WebSocket from "ws";
import { startAppServer } from "../../test/fixtures/app-server.ts";
import { createClient } from "../client.ts";
import type { TaskId } from "../domain/ids.ts";
import type { Answer } from "../domain/question.ts";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function serve() {
  const house = startAppServer();
  closers.push(() => house.close());
  const client = createClient({
    url: house.url,
    token: house.token,
    openSocket: (address, headers) => new WebSocket(address, { headers }),
  });
  const { api, read } = client;
  const detailOf = (id: TaskId) => read(api.tasks[":id"].$get({ param: { id } }));
  return {
    ...house,
    client,
    detailOf,
    say: async (id: TaskId, text: string, more: { now?: boolean } = {}) =>
      (await read(api.tasks[":id"].prompts.$post({ param: { id }, json: { text, ...more } }))).id,
    queueOf: async (id: TaskId) =>
      (await detailOf(id)).prompts.flatMap(({ text, position }) =>
        position === undefined ? [] : [`${position} ${text}`],
      ),
    one: api.tasks[":id"].prompts[":promptId"],
  };
}

/** A task whose first prompt the agent has taken. */
function running(house: ReturnType<typeof serve>): TaskId {
  const id = house.submit({ title: "first" });
  house.play(id);
  return id;
}

test("prompts that wait are listed with their place, changed, moved and taken back", async () => {
  const house = serve();
  const { client, one } = house;
  const id = running(house);
  const [a, b, c] = [await house.say(id, "a"), await house.say(id, "b"), await house.say(id, "c")];
  expect(await house.queueOf(id)).toEqual(["1 a", "2 b", "3 c"]);
  await client.read(one.move.$post({ param: { id, promptId: c }, json: { position: 1 } }));
  await client.read(one.$patch({ param: { id, promptId: a }, json: { text: "A" } }));
  expect(await house.queueOf(id)).toEqual(["1 c", "2 A", "3 b"]);
  await client.read(one.move.$post({ param: { id, promptId: c }, json: { position: 1000 } }));
  await client.read(one.$delete({ param: { id, promptId: b } }));
  expect(await house.queueOf(id)).toEqual(["1 A", "2 c"]);
  const told = house.store.events.ofKinds(id, ["prompt_moved", "prompt_edited", "prompt_removed"]);
  expect(told.map(({ body }) => body.kind)).toEqual([
    "prompt_moved",
    "prompt_edited",
    "prompt_moved",
    "prompt_removed",
  ]);
});

test("what the agent has taken meanwhile is a conflict that says so, and another task's prompt is not there", async () => {
  const house = serve();
  const { client, one, store } = house;
  const [id, other] = [running(house), running(house)];
  const promptId = await house.say(id, "a");
  const elsewhere = { param: { id: other, promptId } };
  await expect(client.read(one.$delete(elsewhere))).rejects.toMatchObject({ code: "not_found" });
  const [, waiting] = store.prompts.list(id);
  if (waiting === undefined) throw new Error("no prompt");
  store.prompts.mark(waiting.id, "taken");
  const param = { id, promptId };
  for (const attempt of [
    one.$patch({ param, json: { text: "b" } }),
    one.$delete({ param }),
    one.move.$post({ param, json: { position: 1 } }),
    one["send-now"].$post({ param }),
  ]) {
    await expect(client.read(attempt)).rejects.toMatchObject({
      code: "conflict",
      message: expect.stringContaining("taken"),
    });
  }
  for (const wrong of ["x", "tsk_00000000000000000000", "prm_00000000000000000000", "%2e%2e"]) {
    await expect(client.read(one.$delete({ param: { id, promptId: wrong } }))).rejects.toMatchObject({
      code: "not_found",
    });
  }
});

test("a prompt that is not to wait is told to the agent, whether it waited before or not", async () => {
  const house = serve();
  const id = running(house);
  const promptId = await house.say(id, "a");
  const { client, one, store } = house;
  await client.read(one["send-now"].$post({ param: { id, promptId } }));
  const second = await house.say(id, "b", { now: true });
  expect(store.events.ofKinds(id, ["prompt_sent_now"]).map(({ body }) => body)).toEqual([
    { kind: "prompt_sent_now", promptId, person: "ada" },
    { kind: "prompt_sent_now", promptId: second, person: "ada" },
  ]);
});

test("a task that rests goes on with the next prompt, and one in line keeps its first prompt first", async () => {
  const house = serve();
  const { store } = house;
  const ended = running(house);
  store.tasks.move(ended, { kind: "failed", reason: "It broke.", hint: "" });
  expect((await house.detailOf(ended)).task).toMatchObject({ state: "failed" });
  await house.say(ended, "try again");
  expect((await house.detailOf(ended)).task.state).toBe("queued");
  const inLine = house.submit({ title: "first of all" });
  await house.say(inLine, "then this");
  expect(await house.queueOf(inLine)).toEqual(["1 first of all", "2 then this"]);
});

test("a paused task says why, in words and for machines, until when, and goes on at a word", async () => {
  const house = serve();
  const { client, store } = house;
  const id = running(house);
  const until = Date.now() + 60_000;
  store.tasks.move(id, {
    ...{ kind: "paused", why: "usage_limit", reason: "The limit is reached.", hint: "Wait.", until },
  });
  const { task } = await house.detailOf(id);
  expect(task).toMatchObject({
    state: "paused",
    detail: "The limit is reached. Wait.",
    paused: { why: "usage_limit", reason: "The limit is reached.", hint: "Wait.", until },
    sandbox: { state: "asleep" },
  });
  await client.read(client.api.tasks[":id"].resume.$post({ param: { id } }));
  const after = (await house.detailOf(id)).task;
  expect([after.state, after.paused]).toEqual(["queued", undefined]);
  await expect(client.read(client.api.tasks[":id"].resume.$post({ param: { id } }))).rejects.toMatchObject({
    code: "conflict",
  });
});

test("where a task's sandbox is stands on the task, in lists too", async () => {
  const house = serve();
  const { client, store } = house;
  const fresh = house.submit({ title: "fresh" });
  const awake = running(house);
  const asleep = running(house);
  store.tasks.move(asleep, { kind: "failed", reason: "x", hint: "" });
  const gone = running(house);
  store.tasks.move(gone, { kind: "failed", reason: "x", hint: "" });
  const record = store.sandboxes.current(gone);
  if (record !== undefined) store.sandboxes.update(record.id, { endedAt: 1 });
  const tasks = await client.read(client.api.tasks.$get({ query: {} }));
  const stateOf = (id: TaskId) => tasks.find((task) => task.id === id)?.sandbox.state;
  expect([fresh, awake, asleep, gone].map(stateOf)).toEqual(["none", "awake", "asleep", "none"]);
});

test("model and mode are changed in mid-task, both or neither", async () => {
  const house = serve();
  const { client } = house;
  const id = running(house);
  const change = (json: { model?: string; mode?: "act" | "plan" }) =>
    client.read(client.api.tasks[":id"].$patch({ param: { id }, json }));
  expect(await change({ model: "opus", mode: "plan" })).toMatchObject({ model: "opus", mode: "plan" });
  expect(await change({ model: "" })).toMatchObject({ model: "", mode: "plan" });
  await expect(change({ model: "--dangerous", mode: "act" })).rejects.toMatchObject({ code: "invalid" });
  expect((await house.detailOf(id)).task.mode).toBe("plan");
});

test("a question says since when it waits", async () => {
  const house = serve();
  const id = house.submit({ title: "ask" });
  const say = house.play(id);
  const before = Date.now();
  say({ kind: "question", requestId: "q", tool: "ExitPlanMode", input: { plan: "Do it." } });
  const [question] = (await house.detailOf(id)).questions;
  expect(question).toMatchObject({ requestId: "q", tool: "ExitPlanMode", input: { plan: "Do it." } });
  expect(question?.askedAt).toBeGreaterThanOrEqual(before);
});

test("everything that can be said to a task is in the API's own description", async () => {
  const house = serve();
  const response = await fetch(`${house.url}/api/openapi.json`, {
    headers: { authorization: `Bearer ${house.token}` },
  });
  const { paths } = (await response.json()) as { paths: Record<string, object> };
  expect(Object.keys(paths)).toEqual(
    expect.arrayContaining([
      "/attachments",
      "/attachments/{id}",
      "/tasks/{id}/prompts/{promptId}",
      "/tasks/{id}/prompts/{promptId}/move",
      "/tasks/{id}/prompts/{promptId}/send-now",
      "/tasks/{id}/resume",
    ]),
  );
});

test("each of an agent's questions wants an answer, and what is missing is named; leave for a tool wants a yes or a no", async () => {
  const house = serve();
  const { client, store } = house;
  const id = house.submit({ title: "asks" });
  const questions = ["Which colour?", "toString"].map((question) => ({ question, options: [] }));
  house.play(id)(
    { kind: "question", requestId: "q1", tool: "AskUserQuestion", input: { questions } },
    { kind: "question", requestId: "q2", tool: "Bash", input: { command: "rm -rf ." } },
  );
  const send = (requestId: string, answer: Answer) =>
    client.read(client.api.tasks[":id"].answers.$post({ param: { id }, json: { requestId, answer } }));
  const answer = (requestId: string, answers: Record<string, string>) =>
    send(requestId, { kind: "answers", answers });
  const colour = { "Which colour?": "Green" };
  for (const [given, missing] of [
    [{}, "Which colour?"],
    [{ "Another?": "Green" }, "Which colour?"],
    [colour, "toString"],
    [{ ...colour, toString: " " }, "toString"],
  ] as const) {
    await expect(answer("q1", given)).rejects.toMatchObject({
      ...{ code: "invalid", message: `There is no answer to "${missing}".` },
    });
  }
  await expect(send("q1", { kind: "allow" })).rejects.toMatchObject({ code: "invalid" });
  await answer("q1", { ...colour, toString: "Up" });
  await expect(send("q2", { kind: "answers", answers: {} })).rejects.toMatchObject({
    ...{ code: "invalid", message: "The agent asks for leave, and not for an answer." },
  });
  await send("q2", { kind: "allow" });
  const answered = store.events.ofKinds(id, ["answered"]).map(({ body }) => body);
  expect(answered).toMatchObject([{ requestId: "q1" }, { requestId: "q2" }]);
});
