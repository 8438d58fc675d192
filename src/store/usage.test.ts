import { Database } from "bun:sqlite";
import { afterEach, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { environmentSchema } from "../domain/environment.ts";
import { newId, type PromptId, type SandboxId, type TaskId } from "../domain/ids.ts";
import type { ModelRequest } from "../domain/model.ts";
import type { Store } from "../domain/store.ts";
import { migrate } from "./database.ts";
import { migrations } from "./migrations.ts";
import { createSeal } from "./seal.ts";
import { openStore } from "./store.ts";

const ids = { now: Date.now, randomBytes: (count: number) => randomBytes(count) };
const stores: Store[] = [];
afterEach(() => {
  for (const store of stores.splice(0)) store.close();
});

function freshStore(): Store {
  const store = openStore(":memory:", createSeal(new Uint8Array(32)), ids);
  stores.push(store);
  return store;
}

function submit(store: Store, person: string, environment = "default"): TaskId {
  const id = newId("TaskId", ids);
  store.tasks.create({
    id,
    title: `Of ${person}`,
    person: store.people.ensure(person),
    environment: environmentSchema.parse({ name: environment }),
    agent: "claude",
    model: "",
    repositories: [],
    prompt: { id: newId("PromptId", ids), text: "do it" },
  });
  return id;
}

const request = (taskId: TaskId, change: Partial<ModelRequest> = {}): ModelRequest => ({
  taskId,
  sandboxId: "sbx_1" as SandboxId,
  promptId: "prm_1" as PromptId,
  at: 1000,
  model: "claude-opus-4-8",
  status: 200,
  inputTokens: 10,
  outputTokens: 20,
  cacheReadTokens: 300,
  cacheWriteTokens: 40,
  cacheWriteHourTokens: 30,
  webSearches: 0,
  costNano: 5_000_000,
  firstByteMs: 1,
  totalMs: 2,
  ...change,
});

test("a request is kept as it was, and summed up for its task at once", () => {
  const store = freshStore();
  const id = submit(store, "ada");
  store.usage.record(request(id), "2026-11-21");
  store.usage.record(request(id, { promptId: undefined, costNano: undefined }), "2026-11-22");
  expect(store.usage.list(id, 10)).toMatchObject([
    request(id),
    request(id, { promptId: undefined, costNano: undefined }),
  ]);
  expect(store.tasks.get(id)).toMatchObject({
    inputTokens: 700,
    outputTokens: 40,
    costNano: 5_000_000,
    unpriced: 1,
  });
  expect(store.tasks.get(submit(store, "ada"))).toMatchObject({ inputTokens: 0, costNano: 0, unpriced: 0 });
});

test("usage is summed up by task, person, environment, model and day, within days", () => {
  const store = freshStore();
  const one = submit(store, "ada");
  const other = submit(store, "bob", "big");
  store.usage.record(request(one), "2026-11-20");
  store.usage.record(request(one), "2026-11-21");
  store.usage.record(request(one, { model: "claude-haiku-4-5", costNano: 1 }), "2026-11-21");
  store.usage.record(request(other, { costNano: 9e9 }), "2026-11-22");
  const keys = (by: Parameters<Store["usage"]["sums"]>[0], filter = {}) =>
    store.usage
      .sums(by, filter, 10)
      .map(({ key, name, requests, costNano }) => [key, name, requests, costNano]);

  expect(keys("task")).toEqual([
    [other, "Of bob", 1, 9e9],
    [one, "Of ada", 3, 10_000_001],
  ]);
  const [ada, bob] = [store.people.ensure("ada").id, store.people.ensure("bob").id];
  expect(keys("person")).toEqual([
    [bob, "bob", 1, 9e9],
    [ada, "ada", 3, 10_000_001],
  ]);
  expect(keys("environment").map(([key]) => key)).toEqual(["big", "default"]);
  expect(keys("model")).toEqual([
    ["claude-opus-4-8", "claude-opus-4-8", 3, 9_010_000_000],
    ["claude-haiku-4-5", "claude-haiku-4-5", 1, 1],
  ]);
  expect(keys("day").map(([key, , requests]) => [key, requests])).toEqual([
    ["2026-11-20", 1],
    ["2026-11-21", 2],
    ["2026-11-22", 1],
  ]);
  expect(keys("day", { from: "2026-11-21", to: "2026-11-21" })).toHaveLength(1);
  expect(store.usage.total({ personId: ada })).toMatchObject({ requests: 3, cacheWriteHourTokens: 90 });
  expect(store.usage.total({ from: "2027-01-01" })).toMatchObject({ requests: 0, costNano: 0 });
});

test("each turn has its own sum; what ran outside of any comes first", () => {
  const store = freshStore();
  const id = submit(store, "ada");
  const second = "prm_2" as PromptId;
  store.usage.record(request(id), "2026-11-21");
  store.usage.record(request(id, { promptId: second, costNano: undefined }), "2026-11-21");
  store.usage.record(request(id), "2026-11-21");
  store.usage.record(request(id, { promptId: undefined }), "2026-11-21");
  expect(
    store.usage.turns(id).map(({ promptId, requests, unpriced }) => [promptId, requests, unpriced]),
  ).toEqual([
    [undefined, 1, 0],
    ["prm_1" as PromptId, 2, 0],
    [second, 1, 1],
  ]);
  expect(store.usage.countTurns(id)).toBe(2);
  expect(store.usage.hasAsked(id, second)).toBe(true);
  expect(store.usage.hasAsked(id, "prm_3" as PromptId)).toBe(false);
  expect(store.usage.unpricedModels(id)).toEqual(["claude-opus-4-8"]);
});

test("a request that used nothing has no price to be missed", () => {
  const store = freshStore();
  const id = submit(store, "ada");
  const nothing = {
    ...{ inputTokens: 0, outputTokens: 0, webSearches: 0 },
    ...{ cacheReadTokens: 0, cacheWriteTokens: 0, cacheWriteHourTokens: 0 },
  };
  store.usage.record(request(id, { ...nothing, status: 529, costNano: undefined }), "2026-11-21");
  expect(store.usage.total({ taskId: id })).toMatchObject({ requests: 1, unpriced: 0 });
});

test("what was counted before there were prices is summed up when the database is brought up to date", () => {
  const db = new Database(":memory:");
  const before = migrations.findIndex(({ name }) => name === "0005_task_life");
  migrate(db, migrations.slice(0, before));
  db.exec(`INSERT INTO people (id, name, created_at) VALUES ('per_1', 'ada', 0);
    INSERT INTO tasks (id, title, person_id, environment, sealed_environment, agent, model, repositories, state_kind, state, created_at, updated_at)
      VALUES ('tsk_1', 't', 'per_1', 'default', '', 'claude', '', '[]', 'completed', '{}', 0, 0);`);
  for (const status of [200, 529])
    db.exec(`INSERT INTO model_requests (task_id, sandbox_id, at, model, status, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, first_byte_ms, total_ms)
      VALUES ('tsk_1', 'sbx_1', 1795219200000, 'm', ${status}, ${status === 200 ? 5 : 0}, 0, 0, 0, 1, 1)`);
  migrate(db, migrations);
  expect(db.query("SELECT * FROM usage_days").all()).toMatchObject([
    {
      task_id: "tsk_1",
      day: "2026-11-21",
      person_id: "per_1",
      environment: "default",
      requests: 2,
      unpriced: 1,
      input_tokens: 5,
      cost_nano: 0,
    },
  ]);
  expect(db.query("SELECT cost_nano FROM model_requests WHERE status = 200").get()).toEqual({
    cost_nano: null,
  });
});

test("a task's own budget is what was set for it last", () => {
  const store = freshStore();
  const id = submit(store, "ada");
  expect(store.usage.budgetOf(id)).toEqual({});
  store.usage.setBudget(id, { usd: 5 });
  store.usage.setBudget(id, { usd: 7, turns: 3 });
  expect(store.usage.budgetOf(id)).toEqual({ usd: 7, turns: 3 });
});
