import { afterEach, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { createAgents } from "../domain/agents.ts";
import { createCalendar } from "../domain/calendar.ts";
import { environmentSchema } from "../domain/environment.ts";
import { newId, type PromptId } from "../domain/ids.ts";
import type { MeteredRequest, ModelEndpoint } from "../domain/model.ts";
import { noTokens, priceSchema } from "../domain/prices.ts";
import type { Store } from "../domain/store.ts";
import { createSeal } from "../store/seal.ts";
import { openStore } from "../store/store.ts";
import { createModelPort, type ModelPortOptions, priced } from "./model-port.ts";
import { createUsageLimits } from "./usage-limits.ts";

const stores: Store[] = [];
afterEach(() => {
  for (const store of stores.splice(0)) store.close();
});

const noon = Date.parse("2026-11-21T12:00:00Z");
const none = { tokens: 0, usd: 0 };

/** A task that runs its first turn, and the port as its door has it. */
function world(limits: object = {}, options: Partial<ModelPortOptions> = {}) {
  let clock = noon;
  const ids = { now: () => clock, randomBytes: (count: number) => randomBytes(count) };
  const store = openStore(":memory:", createSeal(new Uint8Array(32)), ids);
  stores.push(store);
  const environment = environmentSchema.parse({ name: "default", limits });
  store.environments.save(environment);
  let endpoint: ModelEndpoint = {
    kind: "endpoint",
    baseUrl: "http://m",
    credential: { header: "x-api-key", value: "k" },
  };
  const usageLimits = createUsageLimits({ store, endpoint: () => endpoint, now: () => clock });
  const port = createModelPort({
    store,
    endpoint: () => endpoint,
    prices: new Map(),
    budget: { perPersonDay: none, perDay: none },
    calendar: createCalendar("UTC"),
    usageLimits,
    agents: createAgents(),
    waitForUsageLimit: true,
    now: () => clock,
    ...options,
  });
  function start(person: string) {
    const id = newId("TaskId", ids);
    const promptId = newId("PromptId", ids);
    const sandboxId = newId("SandboxId", ids);
    store.tasks.create({
      id,
      title: "t",
      person: store.people.ensure(person),
      environment,
      agent: "claude",
      model: "",
      repositories: [],
      prompt: { id: promptId, text: "do it" },
    });
    store.tasks.claim({ owner: "o", until: 9e15 }, sandboxId, 99);
    store.sandboxes.setBusy(sandboxId, promptId);
    clock += 1;
    return {
      id,
      sandboxId,
      promptId,
      ask: () => port.admit(sandboxId, 4000),
      /** As if it were over at once. */
      admit: () => {
        const admission = port.admit(sandboxId, 4000);
        if (admission.kind === "pass" || admission.kind === "tell") admission.settle?.();
        return admission;
      },
      use: (change: Partial<MeteredRequest> = {}) =>
        port.record(
          metered({
            taskId: id,
            sandboxId,
            promptId: store.sandboxes.get(sandboxId)?.busyWith,
            at: clock,
            ...change,
          }),
        ),
      pauses: () => store.events.ofKinds(id, ["pause_requested", "limit_reached"]).map(({ body }) => body),
    };
  }
  return {
    store,
    port,
    usageLimits,
    start,
    after: (ms: number) => (clock += ms),
    changeEndpoint: () => (endpoint = { ...endpoint, baseUrl: "http://other" }),
    setLimits: (changed: object) =>
      store.environments.save(environmentSchema.parse({ name: "default", limits: changed })),
  };
}

function metered(change: Partial<MeteredRequest>): MeteredRequest {
  return {
    taskId: "tsk_1" as MeteredRequest["taskId"],
    sandboxId: "sbx_1" as MeteredRequest["sandboxId"],
    promptId: undefined,
    at: noon,
    model: "claude-opus-4-8",
    fast: false,
    besides: [],
    status: 200,
    ...noTokens,
    // 1 USD.
    inputTokens: 200_000,
    firstByteMs: 1,
    totalMs: 1,
    ...change,
  };
}

test("a request is priced by the prices of then, with all that it used", () => {
  expect(priced(metered({}), new Map()).costNano).toBe(1e9);
  expect(priced(metered({ fast: true }), new Map()).costNano).toBe(2e9);
  expect(priced(metered({ model: "qwen" }), new Map()).costNano).toBeUndefined();
  const free = new Map([["qwen*", priceSchema.parse({ input: 0, output: 0 })]]);
  expect(priced(metered({ model: "qwen" }), free).costNano).toBe(0);
  expect(priced(metered({ model: "qwen", inputTokens: 0 }), new Map()).costNano).toBe(0);
  const besides = [
    { ...noTokens, inputTokens: 100, model: "" },
    { ...noTokens, outputTokens: 10, model: "claude-haiku-4-5" },
  ];
  expect(priced(metered({ besides }), new Map())).toMatchObject({
    inputTokens: 200_100,
    outputTokens: 10,
    costNano: 1e9 + 100 * 5000 + 10 * 5000,
  });
  expect(
    priced(metered({ besides: [{ ...noTokens, inputTokens: 1, model: "x" }] }), new Map()).costNano,
  ).toBeUndefined();
});

test("a task's budget tells the agent first, then pauses the task once, and goes on when it is raised", () => {
  const { store, start } = world({ usd: 1 });
  const task = start("ada");
  expect(task.admit()).toMatchObject({ kind: "pass", promptId: task.promptId });
  task.use();
  const told = task.admit();
  expect(told).toMatchObject({ kind: "tell", promptId: task.promptId });
  expect(told.kind === "tell" && told.text).toContain("The task has spent $1.00 of $1.00.");
  expect(store.events.ofKinds(task.id, ["appliance_notice"])).toHaveLength(1);
  task.use();
  expect(task.admit()).toMatchObject({ kind: "park", status: 400 });
  expect(task.admit()).toMatchObject({ kind: "park" });
  expect(task.pauses()).toMatchObject([
    { kind: "pause_requested", why: "budget", reason: "The task has spent $2.00 of $1.00." },
  ]);
  store.usage.setBudget(task.id, { usd: 5 });
  expect(task.admit()).toMatchObject({ kind: "pass" });
});

test("of twenty requests at once at the edge of a budget as many pass as it has room for, one by one", async () => {
  const { start } = world({ usd: 10 });
  const task = start("ada");
  for (let n = 0; n < 8; n++) task.use();
  let underWay = 0;
  let most = 0;
  const made: string[] = [];
  await Promise.all(
    Array.from({ length: 20 }, async () => {
      for (;;) {
        const admission = task.ask();
        if (admission.kind === "wait") {
          await admission.changed;
          continue;
        }
        made.push(admission.kind);
        if (admission.kind === "park") return;
        most = Math.max(most, ++underWay);
        await Bun.sleep(1);
        task.use();
        underWay -= 1;
        admission.settle?.();
        return;
      }
    }),
  );
  // 8 USD were spent; the last one that fits reaches the limit, one more is told of it, the rest pauses the task.
  expect(most).toBe(1);
  expect(made).toEqual(["pass", "pass", "tell", ...Array.from({ length: 17 }, () => "park")]);
  expect(task.pauses()).toMatchObject([{ why: "budget", reason: "The task has spent $11.00 of $10.00." }]);
});

test("far from every limit nothing waits, and a limit of others is none", () => {
  const { start } = world({ usd: 100 }, { budget: { perPersonDay: { usd: 3, tokens: 0 }, perDay: none } });
  const [one, other, bobs] = [start("ada"), start("ada"), start("bob")];
  one.use();
  expect([one, other, bobs, bobs].map((task) => task.ask().kind)).toEqual(["pass", "pass", "pass", "pass"]);
  // One dollar spent, one under way in this task and a little in the other: of the same person's day.
  expect(one.ask().kind).toBe("wait");
  expect(bobs.ask().kind).toBe("pass");
});

test("an environment's raised limit holds for tasks that run", () => {
  const { start, setLimits } = world({ tokens: 1000 });
  const task = start("ada");
  task.use();
  expect(task.admit().kind).toBe("tell");
  setLimits({ tokens: 1_000_000 });
  expect(task.admit().kind).toBe("pass");
});

test("a person's day stops that person's tasks alone, until the day is over", () => {
  const { start, after } = world({}, { budget: { perPersonDay: { usd: 1, tokens: 0 }, perDay: none } });
  const [one, other, bobs] = [start("ada"), start("ada"), start("bob")];
  one.use();
  expect(one.admit().kind).toBe("tell");
  expect(other.admit()).toMatchObject({ kind: "park" });
  expect(other.pauses()).toMatchObject([{ why: "budget", until: Date.parse("2026-11-22T00:00:00Z") }]);
  expect(bobs.admit().kind).toBe("pass");
  after(12 * 3_600_000);
  expect(other.admit().kind).toBe("pass");
});

test("the appliance's day stops everybody", () => {
  const { start } = world({}, { budget: { perPersonDay: none, perDay: { usd: 1, tokens: 0 } } });
  const [one, bobs] = [start("ada"), start("bob")];
  one.use();
  expect(bobs.admit()).toMatchObject({ kind: "park" });
});

test("the turn beyond the last one is not begun", () => {
  const { store, start } = world({ turns: 1 });
  const task = start("ada");
  expect(task.admit().kind).toBe("pass");
  task.use();
  expect(task.admit().kind).toBe("pass");
  store.sandboxes.setBusy(task.sandboxId, "prm_2" as PromptId);
  expect(task.admit()).toMatchObject({
    kind: "park",
    reason: "The task has had 1 turn, which is its limit. The task is paused.",
  });
});

test("with a budget in money a model without a price stops; once it has one, it goes on", () => {
  const prices = new Map();
  const { start } = world({ usd: 5 }, { prices });
  const task = start("ada");
  task.use({ model: "qwen" });
  expect(task.admit()).toMatchObject({ kind: "park", status: 400 });
  prices.set("qwen", priceSchema.parse({ input: 0, output: 0 }));
  expect(task.admit().kind).toBe("pass");
});

test("a usage limit of the account pauses its task, holds the others, and is over at its time", () => {
  const { store, port, usageLimits, start, after, changeEndpoint } = world();
  const [one, other] = [start("ada"), start("bob")];
  const until = noon + 3_600_000;
  port.limited(one.sandboxId, { until, ofModel: false });
  port.limited(one.sandboxId, { until, ofModel: false });
  expect(one.pauses()).toMatchObject([{ kind: "pause_requested", why: "usage_limit", until }]);
  expect(other.pauses()).toEqual([]);
  expect(other.admit()).toMatchObject({ kind: "park", status: 429 });
  expect(other.pauses()).toMatchObject([{ why: "usage_limit", until }]);
  expect(usageLimits.modelAvailableAt()).toBe(until);
  // The next server process knows it, too; another account has nothing to do with it.
  const endpoint = port.endpointFor(one.sandboxId, "messages");
  if (endpoint === undefined) throw new Error("no endpoint");
  expect(createUsageLimits({ store, endpoint: () => endpoint, now: () => noon }).modelAvailableAt()).toBe(
    until,
  );
  changeEndpoint();
  expect(usageLimits.modelAvailableAt()).toBeUndefined();
  after(3_600_001);
  expect(other.admit().kind).toBe("pass");
});

test("a person may have the model asked again before the time", () => {
  const { port, usageLimits, start } = world();
  const task = start("ada");
  port.limited(task.sandboxId, { until: noon + 3_600_000, ofModel: false });
  usageLimits.forget();
  expect(usageLimits.modelAvailableAt()).toBeUndefined();
});

test("a limit of one model holds nobody else; where nobody waits for limits, the task fails", () => {
  const { port, usageLimits, start } = world();
  const [one, other] = [start("ada"), start("bob")];
  port.limited(one.sandboxId, { until: noon + 3_600_000, ofModel: true });
  expect(one.pauses()).toHaveLength(1);
  expect(usageLimits.modelAvailableAt()).toBeUndefined();
  expect(other.admit().kind).toBe("pass");

  const impatient = world({}, { waitForUsageLimit: false });
  const task = impatient.start("ada");
  impatient.port.limited(task.sandboxId, { until: noon + 3_600_000, ofModel: false });
  expect(task.pauses()).toMatchObject([
    { kind: "limit_reached", reason: "The usage limit of the model account is reached." },
  ]);
  expect(impatient.usageLimits.modelAvailableAt()).toBeUndefined();
});
