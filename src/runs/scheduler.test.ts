import { afterEach, expect, test } from "bun:test";
import { settled, until } from "../../test/until.ts";
import { environmentSchema } from "../domain/environment.ts";
import { CcwError } from "../domain/errors.ts";
import { newId, type PromptId } from "../domain/ids.ts";
import {
  closeHouses,
  commandsOf,
  createHouse,
  finished,
  ids,
  openPrompt,
  question,
  sandboxOf,
  say,
  started,
  stateOf,
  submit,
  turnEnded,
} from "./house.fixture.ts";
import { addPrompt, answerQuestion, cancelTask, interruptTask, resumeTask } from "./steer.ts";

afterEach(closeHouses);

test("a task runs its prompt, finishes and is cleaned up", async () => {
  const { store, engine, scheduler } = createHouse();
  const id = submit(store);
  await scheduler.start();
  const sandbox = await sandboxOf(store, id);
  const prompt = await openPrompt(store, sandbox);
  say(store, sandbox, started, { kind: "turn_started", promptId: prompt });
  await until("running", () => stateOf(store, id)?.kind === "running");
  expect(store.prompts.list(id)[0]?.state).toBe("taken");
  say(store, sandbox, turnEnded(prompt));
  await until("finish", () => commandsOf(store, sandbox).at(-1)?.kind === "finish");
  say(store, sandbox, finished);
  await until("completed", () => stateOf(store, id)?.kind === "completed");
  expect(stateOf(store, id)).toEqual({ kind: "completed", summary: "All pushed." });
  await until("asleep", () => engine.stopped.has(sandbox));
  expect(store.sandboxes.current(id)?.asleepAt).toBeNumber();
});

test("prompts run one a turn, in order, and the task finishes after the last", async () => {
  const { store, scheduler } = createHouse();
  const id = submit(store);
  await scheduler.start();
  const sandbox = await sandboxOf(store, id);
  const prompt = await openPrompt(store, sandbox);
  say(store, sandbox, started);
  addPrompt(store, ids, id, store.people.ensure("bob"), { text: "second" });
  await Bun.sleep(20);
  expect(commandsOf(store, sandbox)).toHaveLength(1);
  say(store, sandbox, turnEnded(prompt));
  const second = await until("the second prompt", () => commandsOf(store, sandbox)[1]);
  expect(second).toMatchObject({ kind: "prompt", text: "second" });
  say(store, sandbox, turnEnded(second.kind === "prompt" ? second.promptId : ""));
  await until("finish", () => commandsOf(store, sandbox)[2]?.kind === "finish");
  addPrompt(store, ids, id, store.people.ensure("bob"), { text: "late" });
  say(store, sandbox, finished);
  await until("the late one", () => commandsOf(store, sandbox)[3]?.kind === "prompt");
  expect(stateOf(store, id)?.kind).toBe("running");
});

test("the end of a turn that was over before, told again, neither ends nor overtakes the one that runs", async () => {
  const { store, scheduler } = createHouse();
  const id = submit(store);
  await scheduler.start();
  const sandbox = await sandboxOf(store, id);
  const prompt = await openPrompt(store, sandbox);
  addPrompt(store, ids, id, store.people.ensure("bob"), { text: "second" });
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
  say(store, sandbox, started, turnEnded(await openPrompt(store, sandbox), "error"));
  await until("finish", () => commandsOf(store, sandbox).at(-1)?.kind === "finish");
  say(store, sandbox, finished);
  expect(
    await until("failed", () => stateOf(store, id)?.kind === "failed" && stateOf(store, id)),
  ).toMatchObject({
    reason: "The agent stopped with an error: API Error: 400",
  });
});

test("a sandbox that dies is started again; the third time its task is paused with the reason, and the next one runs", async () => {
  const { store, engine, scheduler } = createHouse({ parallel: 1 });
  const [id, next] = [submit(store), submit(store)];
  await scheduler.start();
  const sandbox = await sandboxOf(store, id);
  for (let death = 1; death <= 3; death++) {
    const row = await until("started", () => engine.running.get(sandbox));
    say(store, sandbox, started);
    row.end({ exitCode: 137, reason: "was killed" });
  }
  await until("paused", () => stateOf(store, id)?.kind === "paused");
  expect(stateOf(store, id)).toMatchObject({
    why: "broken",
    reason: expect.stringContaining("was killed. Its last words: the last words"),
  });
  expect(engine.restarted).toBe(2);
  expect(commandsOf(store, sandbox)).toHaveLength(1);
  await sandboxOf(store, next);

  // A person's word brings it back, with three deaths to go.
  resumeTask(store, ids, id, store.people.ensure("bob"));
  cancelTask(store, next, store.people.ensure("bob"));
  await until("awake", () => engine.running.has(sandbox));
  expect(stateOf(store, id)).toEqual({ kind: "starting", sandboxId: sandbox });
});

test("a sandbox with nothing left to do but to hand over is started again when it dies before its first word", async () => {
  const { store, engine, scheduler } = createHouse();
  const id = submit(store);
  await scheduler.start();
  const lost = await sandboxOf(store, id);
  say(store, lost, started, turnEnded(await openPrompt(store, lost)));
  await until("finish", () => commandsOf(store, lost).at(-1)?.kind === "finish");
  engine.running.get(lost)?.end({ exitCode: -1, reason: "is gone" });
  engine.stopped.delete(lost);
  const sandbox = await until("another one", () => [...engine.running.keys()].find((each) => each !== lost));
  await until("it was started", () => {
    const said = store.events.last(id, "sandbox_started")?.body;
    return said?.kind === "sandbox_started" && said.sandboxId === sandbox;
  });
  engine.running.get(sandbox)?.end({ exitCode: 137, reason: "was killed" });
  await until("started again", () => engine.restarted === 1 && engine.running.has(sandbox));
  say(store, sandbox, started, finished);
  await until("idle", () => stateOf(store, id)?.kind === "completed");
});

test("a turn that ends well forgets the deaths before it", async () => {
  const { store, engine, scheduler } = createHouse();
  const id = submit(store);
  await scheduler.start();
  const sandbox = await sandboxOf(store, id);
  const prompt = await openPrompt(store, sandbox);
  addPrompt(store, ids, id, store.people.ensure("bob"), { text: "second" });
  const die = async () => {
    (await until("started", () => engine.running.get(sandbox))).end({ exitCode: 137, reason: "was killed" });
    await until("started again", () => engine.running.has(sandbox));
  };
  for (let death = 1; death <= 2; death++) await die();
  say(store, sandbox, started, turnEnded(prompt));
  await until("the second prompt", () => commandsOf(store, sandbox)[1]);
  for (let death = 1; death <= 2; death++) await die();
  expect(stateOf(store, id)?.kind).toBe("starting");
});

test("an idle task gives its place up to one that waits, and takes its next prompt in the same sandbox", async () => {
  const { store, engine, scheduler } = createHouse({ parallel: 1 }, undefined, undefined, ids, {
    idleMs: 60_000,
  });
  const id = submit(store);
  await scheduler.start();
  const sandbox = await sandboxOf(store, id);
  say(store, sandbox, started, turnEnded(await openPrompt(store, sandbox)));
  await until("finish", () => commandsOf(store, sandbox).at(-1)?.kind === "finish");
  say(store, sandbox, finished);
  await until("idle", () => stateOf(store, id)?.kind === "idle");
  expect(engine.running.has(sandbox)).toBe(true);

  const next = submit(store);
  await until(
    "the other's sandbox",
    () => engine.running.has(sandbox) === false && engine.running.size === 1,
  );
  expect(stateOf(store, id)).toEqual({ kind: "completed", summary: "All pushed." });
  cancelTask(store, next, store.people.ensure("bob"));
  addPrompt(store, ids, id, store.people.ensure("bob"), { text: "more" });
  await until("awake", () => engine.running.has(sandbox));
  expect(commandsOf(store, sandbox).map(({ kind }) => kind)).toEqual(["prompt", "finish", "prompt"]);
  expect(engine.started).toBe(2);
});

test("a sandbox that has slept for long enough is removed; the next prompt builds another", async () => {
  const clock = { ...ids, ahead: 0, now: () => Date.now() + clock.ahead };
  const first = createHouse({}, undefined, undefined, clock);
  const { store, engine } = first;
  const id = submit(store);
  await first.scheduler.start();
  const sandbox = await sandboxOf(store, id);
  say(store, sandbox, started, turnEnded(await openPrompt(store, sandbox)));
  await until("finish", () => commandsOf(store, sandbox).at(-1)?.kind === "finish");
  say(store, sandbox, finished);
  await until("asleep", () => engine.stopped.has(sandbox));
  await first.scheduler.close();
  clock.ahead = 73 * 3_600_000;
  await createHouse({}, store, engine, clock).scheduler.start();
  await until("removed", () => !engine.stopped.has(sandbox));
  expect(store.events.last(id, "sandbox_removed")?.body).toMatchObject({ sandboxId: sandbox });
  addPrompt(store, ids, id, store.people.ensure("bob"), { text: "more" });
  const another = await sandboxOf(store, id);
  expect(another).not.toBe(sandbox);
  expect(await openPrompt(store, another)).toBeString();
});

test("work that is handed over twice does not end what was begun since", async () => {
  const { store, scheduler } = createHouse({}, undefined, undefined, ids, { idleMs: 60_000 });
  const id = submit(store);
  await scheduler.start();
  const sandbox = await sandboxOf(store, id);
  say(store, sandbox, started, turnEnded(await openPrompt(store, sandbox)));
  await until("finish", () => commandsOf(store, sandbox).at(-1)?.kind === "finish");
  say(store, sandbox, finished);
  await until("idle", () => stateOf(store, id)?.kind === "idle");
  addPrompt(store, ids, id, store.people.ensure("bob"), { text: "more" });
  await until("it runs", () => stateOf(store, id)?.kind === "running");
  say(store, sandbox, finished, { kind: "notice", level: "info", text: "on" });
  await Bun.sleep(30);
  expect(stateOf(store, id)?.kind).toBe("running");
});

test("an interruption holds what waits until a person says something, which is taken first", async () => {
  const { store, scheduler } = createHouse({}, undefined, undefined, ids, { idleMs: 60_000 });
  const bob = store.people.ensure("bob");
  const id = submit(store);
  await scheduler.start();
  const sandbox = await sandboxOf(store, id);
  const prompt = await openPrompt(store, sandbox);
  addPrompt(store, ids, id, bob, { text: "second" });
  say(store, sandbox, started, { kind: "turn_started", promptId: prompt });
  await until("running", () => stateOf(store, id)?.kind === "running");
  interruptTask(store, id, bob);
  await until("told", () => commandsOf(store, sandbox)[1]?.kind === "interrupt");
  say(store, sandbox, turnEnded(prompt, "interrupted"));
  await until("idle", () => stateOf(store, id)?.kind === "idle");
  expect(stateOf(store, id)).toMatchObject({ interrupted: true, summary: "Interrupted by bob." });
  expect(commandsOf(store, sandbox)).toHaveLength(2);
  addPrompt(store, ids, id, bob, { text: "rather this" });
  const command = await until("the redirection", () => commandsOf(store, sandbox)[2]);
  expect(command).toMatchObject({ kind: "prompt", text: "rather this" });
  say(store, sandbox, turnEnded(command.kind === "prompt" ? command.promptId : ""));
  expect(await until("the held one", () => commandsOf(store, sandbox)[3])).toMatchObject({ text: "second" });
});

test("an interrupted task whose sandbox falls asleep is paused, and goes on with what waits when it is let", async () => {
  const { store, engine, scheduler } = createHouse();
  const bob = store.people.ensure("bob");
  const id = submit(store);
  await scheduler.start();
  const sandbox = await sandboxOf(store, id);
  const prompt = await openPrompt(store, sandbox);
  say(store, sandbox, started, { kind: "turn_started", promptId: prompt });
  await until("running", () => stateOf(store, id)?.kind === "running");
  addPrompt(store, ids, id, bob, { text: "second" });
  interruptTask(store, id, bob);
  say(store, sandbox, turnEnded(prompt, "interrupted"));
  await until("asleep", () => engine.stopped.has(sandbox));
  expect(stateOf(store, id)).toMatchObject({ kind: "paused", why: "interrupted" });
  resumeTask(store, ids, id, bob);
  await until("awake", () => engine.running.has(sandbox));
  expect(commandsOf(store, sandbox).at(-1)).toMatchObject({ kind: "prompt", text: "second" });
});

test("a prompt sent at once reaches the turn that runs; one that was not read becomes the next turn", async () => {
  const { store, scheduler } = createHouse();
  const bob = store.people.ensure("bob");
  const id = submit(store);
  await scheduler.start();
  const sandbox = await sandboxOf(store, id);
  const prompt = await openPrompt(store, sandbox);
  say(store, sandbox, started, { kind: "turn_started", promptId: prompt });
  await until("running", () => stateOf(store, id)?.kind === "running");
  const read = addPrompt(store, ids, id, bob, { text: "by the way", now: true });
  const unread = addPrompt(store, ids, id, bob, { text: "and that", now: true });
  await until("both sent", () => commandsOf(store, sandbox).length === 3);
  expect(commandsOf(store, sandbox).slice(1)).toMatchObject([
    { promptId: read, now: true },
    { promptId: unread, now: true },
  ]);
  say(store, sandbox, { kind: "prompt_taken", promptId: read }, turnEnded(prompt));
  await until("taken over", () => store.sandboxes.get(sandbox)?.busyWith === unread);
  expect(store.prompts.get(read)?.state).toBe("taken");
  say(store, sandbox, { kind: "turn_started", promptId: unread }, turnEnded(unread));
  await until("finish", () => commandsOf(store, sandbox).at(-1)?.kind === "finish");
});

test("a paused task is cut off in its turn, and goes on by itself when its time has come", async () => {
  const clock = { ...ids, ahead: 0, now: () => Date.now() + clock.ahead };
  const { store, engine, scheduler } = createHouse({ leaseMs: 90 }, undefined, undefined, clock);
  const id = submit(store);
  await scheduler.start();
  const sandbox = await sandboxOf(store, id);
  const prompt = await openPrompt(store, sandbox);
  say(store, sandbox, started, { kind: "turn_started", promptId: prompt });
  await until("running", () => stateOf(store, id)?.kind === "running");
  store.events.append(id, {
    ...{
      kind: "pause_requested",
      why: "usage_limit",
      reason: "The account has reached its limit.",
      hint: "",
    },
    until: Date.now() + 3_600_000,
  });
  // The agent's turn fails of it, and says so before or after the pause.
  say(store, sandbox, turnEnded(prompt, "error"));
  await until("paused", () => stateOf(store, id)?.kind === "paused");
  await until("asleep", () => engine.stopped.has(sandbox));
  clock.ahead = 3_600_000;
  await until("awake", () => engine.running.has(sandbox));
  const next = await until("the turn goes on", () => commandsOf(store, sandbox)[1]);
  expect(next).toMatchObject({ kind: "prompt", text: expect.stringContaining("Go on where you were") });
});

test("a question that nobody answers is answered for them after the set time", async () => {
  const { store, scheduler } = createHouse({}, undefined, undefined, ids, { questionMs: 30 });
  const id = submit(store);
  await scheduler.start();
  const sandbox = await sandboxOf(store, id);
  await openPrompt(store, sandbox);
  say(store, sandbox, started, question("q1"));
  const answer = await until("an answer", () => commandsOf(store, sandbox)[1]);
  expect(answer).toMatchObject({ kind: "answer", requestId: "q1", answer: { behavior: "deny" } });
});

test("a new server process goes on with a running task: one sandbox, one prompt, no event acted on twice", async () => {
  const first = createHouse();
  const { store, engine } = first;
  const id = submit(store);
  await first.scheduler.start();
  const sandbox = await sandboxOf(store, id);
  const prompt = await openPrompt(store, sandbox);
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

test("a sandbox that vanished while the server was away is built again, with the prompt that was lost with it", async () => {
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
  const another = await until("another", () => {
    const state = stateOf(first.store, id);
    return state?.kind === "starting" && state.sandboxId !== sandbox && state.sandboxId;
  });
  expect(await openPrompt(first.store, another)).toBe(await openPrompt(first.store, sandbox));
  expect(first.store.sandboxes.get(sandbox)?.endedAt).toBeNumber();
});

test("a server that died between claiming and starting starts the sandbox afterwards", async () => {
  const { store, engine, scheduler } = createHouse();
  submit(store);
  const sandboxId = newId("SandboxId", ids);
  store.atomically(() => {
    store.tasks.claim({ owner: "dead", until: 1e15 }, sandboxId, 5);
  });
  await scheduler.start();
  await until("started", () => engine.running.has(sandboxId));
  expect(await openPrompt(store, sandboxId)).toBeDefined();
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
  await openPrompt(store, sandbox);
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
  const prompt = await openPrompt(store, sandbox);
  say(store, sandbox, started);
  await until("running", () => stateOf(store, id)?.kind === "running");
  // With the state's own event.
  const before = await settled(() => store.sandboxes.get(sandbox)?.cursor ?? 0);
  for (let i = 0; i < 3; i++) {
    say(store, sandbox, { kind: "assistant_text", blockId: `b${i}`, text: "word" });
    await Bun.sleep(10);
  }
  expect(store.sandboxes.get(sandbox)?.cursor).toBe(before);
  say(store, sandbox, turnEnded(prompt));
  await until("finish", () => commandsOf(store, sandbox).at(-1)?.kind === "finish");
  expect(store.sandboxes.get(sandbox)?.cursor).toBeGreaterThan(before + 3);
});

test("a sandbox cannot call its own task completed before the work was done", async () => {
  const { store, scheduler } = createHouse();
  const id = submit(store);
  await scheduler.start();
  const sandbox = await sandboxOf(store, id);
  await openPrompt(store, sandbox);
  say(store, sandbox, started, finished);
  await until("running", () => stateOf(store, id)?.kind === "running");
  await Bun.sleep(30);
  expect(stateOf(store, id)?.kind).toBe("running");
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
  await openPrompt(store, sandbox);
  const foreign = store.prompts.list(other)[0]?.id as PromptId;
  say(store, sandbox, started, { kind: "turn_started", promptId: foreign });
  await until("running", () => stateOf(store, id)?.kind === "running");
  expect(store.prompts.list(other)[0]?.state).not.toBe("taken");
});
