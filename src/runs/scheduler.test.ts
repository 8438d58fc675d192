import { afterEach, expect, test } from "bun:test";
import { environmentSchema } from "../domain/environment.ts";
import { CcwError } from "../domain/errors.ts";
import { newId, type PromptId } from "../domain/ids.ts";
import {
  closeHouses,
  commandsOf,
  createHouse,
  finished,
  firstPrompt,
  ids,
  question,
  sandboxOf,
  say,
  started,
  stateOf,
  submit,
  turnEnded,
  until,
} from "./house.fixture.ts";
import { addPrompt, answerQuestion, cancelTask } from "./steer.ts";

afterEach(closeHouses);

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
    objectFolders: [],
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
