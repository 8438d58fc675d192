import { afterEach, expect, test } from "bun:test";
import { until } from "../../test/until.ts";
import type { PromptId, SandboxId, TaskId } from "../domain/ids.ts";
import type { Store } from "../domain/store.ts";
import {
  closeHouses,
  commandsOf,
  createHouse,
  finished,
  ids,
  openPrompt,
  sandboxOf,
  say,
  started,
  stateOf,
  submit,
  turnEnded,
} from "./house.fixture.ts";
import { addPrompt, cancelTask, interruptTask } from "./steer.ts";

/** A prompt that was given out when its task came to a stop: given again unless an agent had begun to read it. */

afterEach(closeHouses);

/** A task at whose sandbox a prompt has arrived that nothing was said of. */
async function openTask() {
  const house = createHouse();
  const { store, engine, scheduler } = house;
  const ada = store.people.ensure("ada");
  const id = submit(store);
  scheduler.start();
  const sandbox = await sandboxOf(store, id);
  const first = await openPrompt(store, sandbox);
  await until("awake", () => engine.running.has(sandbox));
  say(store, sandbox, started);
  await until("running", () => stateOf(store, id)?.kind === "running");
  addPrompt(store, ids, id, ada, { text: "second" });
  return { ...house, ada, id, sandbox, first };
}

const limit = (store: Store, id: TaskId) =>
  store.events.append(id, { kind: "limit_reached", reason: "Its time is over.", hint: "" });

const promptsSent = (store: Store, sandbox: SandboxId) =>
  commandsOf(store, sandbox).flatMap((command) => (command.kind === "prompt" ? [command.text] : []));

/** Plays turns to their end until nothing is left to do. */
async function workOff(store: Store, sandbox: SandboxId) {
  for (;;) {
    const next = await until("more to do", () => {
      const busy = store.sandboxes.get(sandbox)?.busyWith;
      return busy ?? (commandsOf(store, sandbox).at(-1)?.kind === "finish" && "none");
    });
    if (next === "none") return;
    say(store, sandbox, { kind: "turn_started", promptId: next }, turnEnded(next));
    await until("its end is heard", () => store.sandboxes.get(sandbox)?.busyWith !== next);
  }
}

test.each(["a limit", "a person's stop"])(
  "%s: what no agent had begun to read is given again once, behind what is said next and before what waited",
  async (what) => {
    const { store, engine, id, sandbox, ada, first } = await openTask();
    if (what === "a limit") limit(store, id);
    else cancelTask(store, id, ada);
    await until("asleep", () => engine.stopped.has(sandbox));
    addPrompt(store, ids, id, ada, { text: "rather this" });
    await until("awake", () => engine.running.has(sandbox));
    expect(commandsOf(store, sandbox).map(({ kind }) => kind)).toEqual(["prompt", "interrupt"]);
    say(store, sandbox, turnEnded(first, "interrupted"));
    await workOff(store, sandbox);
    expect(promptsSent(store, sandbox)).toEqual(["first", "rather this", "first", "second"]);
    expect(new Set(store.prompts.list(id).map(({ state }) => state))).toEqual(new Set(["taken"]));
  },
);

test("its end is told while the sandbox is being stopped: it waits, and what is said next comes first", async () => {
  const { store, engine, id, sandbox, ada, first } = await openTask();
  limit(store, id);
  await until("stopped", () => stateOf(store, id)?.kind === "failed");
  say(store, sandbox, turnEnded(first, "interrupted"));
  await until("asleep", () => engine.stopped.has(sandbox));
  addPrompt(store, ids, id, ada, { text: "rather this" });
  await until("awake", () => engine.running.has(sandbox));
  say(store, sandbox, started);
  await workOff(store, sandbox);
  expect(promptsSent(store, sandbox)).toEqual(["first", "rather this", "first", "second"]);
});

test("what an agent had begun is interrupted, and not given again", async () => {
  const { store, engine, id, sandbox, ada, first } = await openTask();
  say(store, sandbox, { kind: "turn_started", promptId: first });
  await until("taken", () => store.prompts.list(id)[0]?.state === "taken");
  limit(store, id);
  await until("asleep", () => engine.stopped.has(sandbox));
  addPrompt(store, ids, id, ada, { text: "rather this" });
  await until("awake", () => engine.running.has(sandbox));
  say(store, sandbox, turnEnded(first, "interrupted"));
  await workOff(store, sandbox);
  expect(promptsSent(store, sandbox)).toEqual(["first", "rather this", "second"]);
});

test("an interruption gives back what was not begun, and holds it until a person says something", async () => {
  const { store, id, sandbox, ada, first } = await openTask();
  interruptTask(store, id, ada);
  await until("told", () => commandsOf(store, sandbox).at(-1)?.kind === "interrupt");
  say(store, sandbox, turnEnded(first, "interrupted"));
  await until("held", () => stateOf(store, id)?.kind === "idle" || stateOf(store, id)?.kind === "paused");
  expect(promptsSent(store, sandbox)).toEqual(["first"]);
  addPrompt(store, ids, id, ada, { text: "rather this" });
  await workOff(store, sandbox);
  expect(promptsSent(store, sandbox)).toEqual(["first", "rather this", "first", "second"]);
});

test("a sandbox that says of each prompt that it was interrupted, and was told nothing of the kind, is given each once", async () => {
  const { store, id, sandbox } = await openTask();
  for (let turn = 1; turn <= 2; turn++) {
    const prompt: PromptId = await until("a prompt", () => store.sandboxes.get(sandbox)?.busyWith);
    say(store, sandbox, turnEnded(prompt, "interrupted"));
    await until("heard", () => store.sandboxes.get(sandbox)?.busyWith !== prompt);
  }
  await until("finish", () => commandsOf(store, sandbox).at(-1)?.kind === "finish");
  say(store, sandbox, finished);
  await until("completed", () => stateOf(store, id)?.kind === "completed");
  expect(promptsSent(store, sandbox)).toEqual(["first", "second"]);
});

test("where the container is gone, what was stopped before it was begun is given to the next one", async () => {
  const { store, engine, id, sandbox, ada } = await openTask();
  cancelTask(store, id, ada);
  await until("asleep", () => engine.stopped.has(sandbox));
  await engine.remove(sandbox);
  addPrompt(store, ids, id, ada, { text: "rather this" });
  const next = await until("another one", () => [...engine.running.keys()].find((each) => each !== sandbox));
  say(store, next, started);
  await workOff(store, next);
  expect(promptsSent(store, next)).toEqual(["rather this", "first", "second"]);
});
