import { afterEach, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { type EnvironmentInput, environmentSchema } from "../domain/environment.ts";
import { CcwError } from "../domain/errors.ts";
import type { GuestEvent } from "../domain/event.ts";
import { type IdSource, newId, type PromptId, type SandboxId, type TaskId } from "../domain/ids.ts";
import type { Log } from "../domain/ports.ts";
import type { SandboxEngine, SandboxExit, SandboxSpec } from "../domain/sandbox.ts";
import type { Store } from "../domain/store.ts";
import { isActive } from "../domain/task.ts";
import { createSeal } from "../store/seal.ts";
import { openStore } from "../store/store.ts";
import { createScheduler, type SchedulerOptions } from "./scheduler.ts";
import { addPrompt, answerQuestion, cancelTask } from "./steer.ts";

/**
 * The whole of runs/ on a real database. The engine is a table of what "runs"; what a sandbox says is written as its
 * guest's events. Real containers and the real agent play the same stories in test/e2e.
 */
const ids: IdSource = { now: () => Date.now(), randomBytes: (n) => randomBytes(n) };
const silent: Log = { info() {}, warn() {}, error() {} };
const closers: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function createTableEngine() {
  const running = new Map<
    SandboxId,
    { spec: SandboxSpec; end: (exit: SandboxExit) => void; ended: Promise<SandboxExit> }
  >();
  const engine: SandboxEngine & { running: typeof running; failWith: CcwError | undefined; started: number } =
    {
      running,
      failWith: undefined,
      started: 0,
      async start(spec) {
        if (engine.failWith !== undefined) throw engine.failWith;
        const { promise, resolve } = Promise.withResolvers<SandboxExit>();
        engine.started += 1;
        running.set(spec.id, { spec, end: resolve, ended: promise });
      },
      wait(id, signal) {
        const gone = { exitCode: -1, reason: "is gone" };
        return Promise.race([
          running.get(id)?.ended ?? Promise.resolve(gone),
          new Promise<SandboxExit>((_, reject) =>
            signal.addEventListener("abort", () => reject(new Error("aborted"))),
          ),
        ]);
      },
      async remove(id) {
        running.get(id)?.end({ exitCode: 137, reason: "was removed" });
        running.delete(id);
      },
      async list() {
        if (engine.failWith !== undefined) throw engine.failWith;
        return [...running.values()].map(({ spec }) => ({ id: spec.id, taskId: spec.taskId, running: true }));
      },
      tail: async () => "the last words",
      resolveImage: async (image) => `ccw/${image}:1`,
      describe: async () => "table 1",
    };
  return engine;
}

function createHouse(
  options: Partial<SchedulerOptions> = {},
  store: Store = openStore(":memory:", createSeal(new Uint8Array(32)), ids),
  engine = createTableEngine(),
) {
  const doors = { open: async (id: SandboxId) => `/doors/${id}`, close: async () => {} };
  const scheduler = createScheduler(
    { store, engine, doors, log: silent, now: ids.now },
    { ids, owner: crypto.randomUUID(), parallel: 2, ...options },
  );
  closers.push(() => scheduler.close());
  return { store, engine, scheduler };
}

function submit(store: Store, environment: Partial<EnvironmentInput> = {}): TaskId {
  const id = newId("TaskId", ids);
  store.tasks.create({
    id,
    title: "t",
    person: store.people.ensure("ada"),
    environment: environmentSchema.parse({ name: "default", ...environment }),
    agent: "claude",
    model: "",
    repositories: [],
    prompt: { id: newId("PromptId", ids), text: "first" },
  });
  return id;
}

async function until<Value>(what: string, probe: () => Value | undefined | false): Promise<Value> {
  for (let i = 0; i < 400; i++) {
    const value = probe();
    if (value !== undefined && value !== false) return value;
    await Bun.sleep(5);
  }
  throw new Error(`never happened: ${what}`);
}

const stateOf = (store: Store, id: TaskId) => store.tasks.get(id)?.state;
const sandboxOf = async (store: Store, id: TaskId) =>
  until("a sandbox", () => {
    const state = stateOf(store, id);
    return state !== undefined && isActive(state) && state.sandboxId;
  });
const commandsOf = (store: Store, id: SandboxId) =>
  store.sandboxes.commandsAfter(id, 0, 100).map(({ command }) => command);

/** Sends events as the guest does, numbered on from what is held. */
function say(store: Store, id: SandboxId, ...events: GuestEvent[]): void {
  const from = store.sandboxes.get(id)?.acked ?? 0;
  store.sandboxes.appendEvents(
    id,
    events.map((event, i) => ({ n: from + i + 1, event })),
  );
}
const started: GuestEvent = { kind: "step_started", step: "agent", detail: "" };
const turnEnded = (promptId: string, outcome: "done" | "error" = "done"): GuestEvent => ({
  kind: "turn_ended",
  promptId,
  outcome,
  text: outcome === "done" ? "I did it" : "API Error: 400",
  usage: { inputTokens: 1, outputTokens: 1 },
});
const finished: GuestEvent = { kind: "finished", outcome: "completed", text: "All pushed.", hint: "" };
const question = (requestId: string): GuestEvent => ({
  kind: "question",
  requestId,
  tool: "Bash",
  input: { command: "rm" },
});

async function firstPrompt(store: Store, sandboxId: SandboxId): Promise<string> {
  return until("the first prompt", () => {
    const command = commandsOf(store, sandboxId)[0];
    return command?.kind === "prompt" && command.promptId;
  });
}

test("a task runs its prompt, finishes and is cleaned up", async () => {
  const { store, engine, scheduler } = createHouse();
  const id = submit(store);
  await scheduler.start();
  const sandbox = await sandboxOf(store, id);
  const prompt = await firstPrompt(store, sandbox);
  say(store, sandbox, started, { kind: "turn_started", promptId: prompt });
  await until("running", () => stateOf(store, id)?.kind === "running");
  expect(store.prompts.list(id)[0]?.state).toBe("taken");
  say(store, sandbox, turnEnded(prompt));
  await until("finish", () => commandsOf(store, sandbox).at(-1)?.kind === "finish");
  say(store, sandbox, finished);
  await until("completed", () => stateOf(store, id)?.kind === "completed");
  expect(stateOf(store, id)).toEqual({ kind: "completed", summary: "All pushed." });
  await until("removed", () => !engine.running.has(sandbox));
});

test("prompts run one a turn, in order, and the task finishes after the last", async () => {
  const { store, scheduler } = createHouse();
  const id = submit(store);
  await scheduler.start();
  const sandbox = await sandboxOf(store, id);
  const prompt = await firstPrompt(store, sandbox);
  say(store, sandbox, started);
  addPrompt(store, ids, id, store.people.ensure("bob"), "second");
  await Bun.sleep(20);
  expect(commandsOf(store, sandbox)).toHaveLength(1);
  say(store, sandbox, turnEnded(prompt));
  const second = await until("the second prompt", () => commandsOf(store, sandbox)[1]);
  expect(second).toMatchObject({ kind: "prompt", text: "second" });
  say(store, sandbox, turnEnded(second.kind === "prompt" ? second.promptId : ""));
  await until("finish", () => commandsOf(store, sandbox)[2]?.kind === "finish");
  expect(() => addPrompt(store, ids, id, store.people.ensure("bob"), "late")).toThrow(
    "takes no more prompts",
  );
});

test("the end of a turn that was over before, told again, neither ends nor overtakes the one that runs", async () => {
  const { store, scheduler } = createHouse();
  const id = submit(store);
  await scheduler.start();
  const sandbox = await sandboxOf(store, id);
  const prompt = await firstPrompt(store, sandbox);
  addPrompt(store, ids, id, store.people.ensure("bob"), "second");
  say(store, sandbox, started, turnEnded(prompt));
  await until("the second prompt", () => commandsOf(store, sandbox).length === 2);
  say(store, sandbox, turnEnded(prompt), { kind: "notice", level: "info", text: "on" });
  await Bun.sleep(30);
  expect(commandsOf(store, sandbox)).toHaveLength(2);
});

test("a turn that ends in an error fails the task after its work was saved", async () => {
  const { store, scheduler } = createHouse();
  const id = submit(store);
  await scheduler.start();
  const sandbox = await sandboxOf(store, id);
  say(store, sandbox, started, turnEnded(await firstPrompt(store, sandbox), "error"));
  await until("finish", () => commandsOf(store, sandbox).at(-1)?.kind === "finish");
  say(store, sandbox, finished);
  expect(
    await until("failed", () => stateOf(store, id)?.kind === "failed" && stateOf(store, id)),
  ).toMatchObject({
    reason: "The agent stopped with an error: API Error: 400",
  });
});

test("a sandbox that dies fails its task with the reason, and the next task runs", async () => {
  const { store, engine, scheduler } = createHouse({ parallel: 1 });
  const [id, next] = [submit(store), submit(store)];
  await scheduler.start();
  const sandbox = await sandboxOf(store, id);
  await until("started", () => engine.running.has(sandbox));
  engine.running.get(sandbox)?.end({ exitCode: 137, reason: "was killed" });
  await until("failed", () => stateOf(store, id)?.kind === "failed");
  expect(store.tasks.get(id)?.state).toMatchObject({
    reason: expect.stringContaining("was killed. Its last words: the last words"),
  });
  await sandboxOf(store, next);
});

test("a new server process goes on with a running task: one sandbox, one prompt, no event acted on twice", async () => {
  const first = createHouse();
  const { store, engine } = first;
  const id = submit(store);
  await first.scheduler.start();
  const sandbox = await sandboxOf(store, id);
  const prompt = await firstPrompt(store, sandbox);
  say(store, sandbox, started, { kind: "turn_started", promptId: prompt });
  await until("running", () => stateOf(store, id)?.kind === "running");
  await first.scheduler.close();
  say(store, sandbox, turnEnded(prompt)); // what the guest sent to the new process before it followed
  const second = createHouse({}, store, engine);
  await second.scheduler.start();
  await until("finish", () => commandsOf(store, sandbox).at(-1)?.kind === "finish");
  say(store, sandbox, finished);
  await until("completed", () => stateOf(store, id)?.kind === "completed");
  expect(commandsOf(store, sandbox).map(({ kind }) => kind)).toEqual(["prompt", "finish"]);
  expect(engine.started).toBe(1);
});

test("a sandbox that vanished while the server was away fails its task", async () => {
  const first = createHouse();
  const id = submit(first.store);
  await first.scheduler.start();
  const sandbox = await sandboxOf(first.store, id);
  await until("started", () => first.engine.running.has(sandbox));
  say(first.store, sandbox, started);
  await first.scheduler.close();
  first.engine.running.clear();
  const second = createHouse({}, first.store, first.engine);
  await second.scheduler.start();
  await until("failed", () => stateOf(first.store, id)?.kind === "failed");
  expect(first.store.tasks.get(id)?.state).toMatchObject({
    reason: expect.stringContaining("removed while the server was away"),
  });
});

test("a server that died between claiming and starting starts the sandbox afterwards", async () => {
  const { store, engine, scheduler } = createHouse();
  const id = submit(store);
  const sandboxId = newId("SandboxId", ids);
  store.atomically(() => {
    store.tasks.claim({ owner: "dead", until: 1e15 }, sandboxId, 5);
    store.sandboxes.create(sandboxId, id);
  });
  await scheduler.start();
  await until("started", () => engine.running.has(sandboxId));
  expect(await firstPrompt(store, sandboxId)).toBeDefined();
});

test("while the engine is down tasks wait, say so once, and run when it is back", async () => {
  const { store, engine, scheduler } = createHouse({ holdMs: 30, leaseMs: 60 });
  engine.failWith = new CcwError("unavailable", "The container engine does not answer.", "Start it.");
  const id = submit(store);
  await scheduler.start();
  await until("notice", () => store.events.last(id, "appliance_notice"));
  await Bun.sleep(100);
  expect(store.events.ofKinds(id, ["appliance_notice"])).toHaveLength(1);
  engine.failWith = undefined;
  const sandbox = await until("started", () => [...engine.running.keys()][0]);
  expect(commandsOf(store, sandbox)).toHaveLength(1);
});

test("a missing image fails the task with the way to mend it", async () => {
  const { store, engine, scheduler } = createHouse();
  engine.resolveImage = async () => {
    throw new CcwError(
      "not_found",
      "There is no image slim.",
      "Build it with `ccw-server image build slim`.",
    );
  };
  const id = submit(store);
  await scheduler.start();
  await until("failed", () => stateOf(store, id)?.kind === "failed");
  expect(stateOf(store, id)).toEqual({
    kind: "failed",
    reason: "There is no image slim.",
    hint: "Build it with `ccw-server image build slim`.",
  });
});

test("cancelling works in the queue and in the sandbox", async () => {
  const { store, engine, scheduler } = createHouse({ parallel: 1 });
  const [running, queued] = [submit(store), submit(store)];
  await scheduler.start();
  const sandbox = await sandboxOf(store, running);
  const ada = store.people.ensure("ada");
  cancelTask(store, queued, ada);
  expect(stateOf(store, queued)).toEqual({ kind: "cancelled", by: "ada" });
  cancelTask(store, running, ada);
  await until("cancelled", () => stateOf(store, running)?.kind === "cancelled");
  await until("removed", () => !engine.running.has(sandbox));
  expect(() => cancelTask(store, running, ada)).toThrow("cancelled already");
});

test("a task waits while any of its questions is open, and each answer reaches the agent once", async () => {
  const { store, scheduler } = createHouse();
  const id = submit(store);
  await scheduler.start();
  const sandbox = await sandboxOf(store, id);
  await firstPrompt(store, sandbox);
  say(store, sandbox, started, question("q1"), question("q2"));
  await until("waiting", () => stateOf(store, id)?.kind === "waiting");
  const ada = store.people.ensure("ada");
  answerQuestion(store, id, ada, "q1", { kind: "allow" });
  expect(() => answerQuestion(store, id, ada, "q1", { kind: "allow" })).toThrow(
    "does not wait for this answer",
  );
  await until("the answer", () => commandsOf(store, sandbox).length === 2);
  expect(stateOf(store, id)?.kind).toBe("waiting");
  answerQuestion(store, id, ada, "q2", { kind: "deny", message: "no" });
  await until("running", () => stateOf(store, id)?.kind === "running");
  expect(commandsOf(store, sandbox).slice(1)).toEqual([
    { kind: "answer", requestId: "q1", answer: { behavior: "allow" } },
    { kind: "answer", requestId: "q2", answer: { behavior: "deny", message: "no" } },
  ]);
});

test("what an agent only says is not written down a second time, and what follows has its effect", async () => {
  const { store, scheduler } = createHouse();
  const id = submit(store);
  await scheduler.start();
  const sandbox = await sandboxOf(store, id);
  const prompt = await firstPrompt(store, sandbox);
  say(store, sandbox, started);
  await until("running", () => stateOf(store, id)?.kind === "running");
  await Bun.sleep(10); // the state's own event
  const before = store.sandboxes.get(sandbox)?.cursor;
  for (let i = 0; i < 3; i++) {
    say(store, sandbox, { kind: "assistant_text", blockId: `b${i}`, text: "word" });
    await Bun.sleep(10);
  }
  expect(store.sandboxes.get(sandbox)?.cursor).toBe(before);
  say(store, sandbox, turnEnded(prompt));
  await until("finish", () => commandsOf(store, sandbox).at(-1)?.kind === "finish");
  expect(store.sandboxes.get(sandbox)?.cursor).toBeGreaterThan((before ?? 0) + 3);
});

test("a sandbox cannot call its own task completed before the work was done", async () => {
  const { store, scheduler } = createHouse();
  const id = submit(store);
  await scheduler.start();
  const sandbox = await sandboxOf(store, id);
  await firstPrompt(store, sandbox);
  say(store, sandbox, started, finished);
  await until("failed", () => stateOf(store, id)?.kind === "failed");
});

test("no more tasks run at once than may", async () => {
  const { store, engine, scheduler } = createHouse({ parallel: 2 });
  const all = [1, 2, 3, 4].map(() => submit(store));
  await scheduler.start();
  await until("two run", () => engine.running.size === 2);
  await Bun.sleep(30);
  expect(all.filter((id) => stateOf(store, id)?.kind === "queued")).toHaveLength(2);
});

test("left-over sandboxes without an active task are removed at the start", async () => {
  const { store, engine, scheduler } = createHouse();
  const orphan = newId("SandboxId", ids);
  await engine.start({
    id: orphan,
    taskId: newId("TaskId", ids),
    image: "x",
    limits: environmentSchema.parse({ name: "x" }).limits,
    doorFolder: "/",
  });
  expect(store.tasks.list({ limit: 1 })).toEqual([]);
  await scheduler.start();
  await until("removed", () => !engine.running.has(orphan));
});

test("a prompt id of another task has no effect", async () => {
  const { store, scheduler } = createHouse();
  const [id, other] = [submit(store), submit(store)];
  await scheduler.start();
  const sandbox = await sandboxOf(store, id);
  await firstPrompt(store, sandbox);
  const foreign = store.prompts.list(other)[0]?.id as PromptId;
  say(store, sandbox, started, { kind: "turn_started", promptId: foreign });
  await until("running", () => stateOf(store, id)?.kind === "running");
  expect(store.prompts.list(other)[0]?.state).not.toBe("taken");
});
