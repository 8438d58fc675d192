import { afterEach, expect, test } from "bun:test";
import { until } from "../../test/until.ts";
import { createAgents } from "../domain/agents.ts";
import { usualAttribution } from "../domain/attribution.ts";
import { CcwError } from "../domain/errors.ts";
import type { GitEndpoint } from "../domain/git-server.ts";
import { newId } from "../domain/ids.ts";
import {
  closeHouses,
  commandsOf,
  createHouse,
  createTableEngine,
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
import { createControlPort, createScopedTokens } from "./session.ts";
import { addPrompt, cancelTask, resumeTask } from "./steer.ts";

/** What a hostile guest, a full disk, a clock or a crash at the wrong moment may do to a task. */

afterEach(closeHouses);

async function runningTask() {
  const house = createHouse({ holdMs: 20, leaseMs: 30 });
  const { store, scheduler } = house;
  const id = submit(store);
  scheduler.start();
  const sandbox = await sandboxOf(store, id);
  say(store, sandbox, started);
  await until("running", () => stateOf(store, id)?.kind === "running");
  return { ...house, id, sandbox };
}

const fullDisk = () => new CcwError("no_space", "The appliance's disk is full: nothing was written.");

test("a guest whose turn ends before it said that anything began does not stop its task from ending", async () => {
  const { store, scheduler } = createHouse();
  const id = submit(store);
  await scheduler.start();
  const sandbox = await sandboxOf(store, id);
  say(store, sandbox, turnEnded(await openPrompt(store, sandbox)));
  await until("finish", () => commandsOf(store, sandbox).at(-1)?.kind === "finish");
  say(store, sandbox, finished);
  await until("completed", () => stateOf(store, id)?.kind === "completed");
});

test("a task whose events cannot be followed is failed and cleaned up, and its place is free", async () => {
  const { store, engine, scheduler } = createHouse({ parallel: 1, leaseMs: 30 });
  const [id, next] = [submit(store), submit(store)];
  store.sandboxes.appendCommand = () => {
    throw new Error("a defect");
  };
  await scheduler.start();
  const failed = await until("given up", () => {
    const state = stateOf(store, id);
    return state?.kind === "failed" && state;
  });
  expect(failed.reason).toContain("could not follow this task");
  await until("the next task is claimed", () => stateOf(store, next)?.kind !== "queued");
  expect([...engine.running.values()].filter(({ spec }) => spec.taskId === id)).toEqual([]);
});

test("a cancellation while the engine is found to be down is not forgotten", async () => {
  const engine = createTableEngine();
  const { promise: asked, resolve: listAsked } = Promise.withResolvers<void>();
  const { promise: answer, reject: engineIsDown } = Promise.withResolvers<never>();
  engine.list = () => {
    listAsked();
    return answer;
  };
  const { store, scheduler } = createHouse({ holdMs: 20, leaseMs: 60 }, undefined, engine);
  const id = submit(store);
  void scheduler.start();
  await asked;
  cancelTask(store, id, store.people.ensure("ada"));
  engineIsDown(new CcwError("unavailable", "The container engine does not answer."));
  await until("cancelled", () => stateOf(store, id)?.kind === "cancelled");
});

test("a task that is heard to run while the engine is away goes on with it, however long that takes", async () => {
  const { store, engine, id, sandbox } = await runningTask();
  const { list } = engine;
  let asked = 0;
  engine.list = async () => {
    asked += 1;
    // As a sandbox that some other hand has started meanwhile.
    if (asked === 1) say(store, sandbox, started);
    if (asked <= 5) throw new CcwError("unavailable", "The container engine does not answer.");
    return list();
  };
  engine.running.get(sandbox)?.end({ exitCode: 137, reason: "was killed" });
  await until("started again", () => engine.running.has(sandbox));
  expect(stateOf(store, id)).toEqual({ kind: "running", sandboxId: sandbox });
  expect(commandsOf(store, sandbox).map(({ kind }) => kind)).toEqual(["prompt"]);
});

test("a container that is removed in the instant before it would be started again is built again", async () => {
  const { store, engine, scheduler } = createHouse({ leaseMs: 30 });
  const id = submit(store);
  scheduler.start();
  const sandbox = await sandboxOf(store, id);
  say(store, sandbox, started);
  const prompt = await openPrompt(store, sandbox);
  await until("running", () => stateOf(store, id)?.kind === "running");
  const { restart } = engine;
  engine.restart = (wanted) => {
    engine.stopped.delete(wanted);
    return restart(wanted);
  };
  engine.running.get(sandbox)?.end({ exitCode: 137, reason: "was killed" });
  const another = await until("another one", () => [...engine.running.keys()].find((key) => key !== sandbox));
  expect(stateOf(store, id)).toEqual({ kind: "starting", sandboxId: another });
  expect(await openPrompt(store, another)).toBe(prompt);
});

test("a sandbox that was started again, though the engine did not say so, keeps its door and goes on", async () => {
  const { store, engine, id, sandbox } = await runningTask();
  const { restart } = engine;
  engine.restart = async (wanted) => {
    await restart(wanted);
    throw new CcwError("unavailable", "The container engine does not answer.");
  };
  engine.running.get(sandbox)?.end({ exitCode: 137, reason: "was killed" });
  await until("waits", () => store.events.last(id, "appliance_notice") !== undefined);
  await until("taken up", () => stateOf(store, id)?.kind === "starting");
  say(store, sandbox, started);
  await until("running again", () => stateOf(store, id)?.kind === "running");
  expect(engine.running.has(sandbox)).toBe(true);
});

test("a container that was created and never started, when the server died, is started", async () => {
  const engine = createTableEngine();
  const { store, scheduler } = createHouse({}, undefined, engine);
  const id = submit(store);
  const list = engine.list;
  // What the engine says of a container between its creation and its start.
  engine.list = async () => {
    const state = stateOf(store, id);
    return state?.kind === "starting" && engine.started === 0
      ? [{ id: state.sandboxId, taskId: id, condition: "stopped" as const }]
      : list();
  };
  await scheduler.start();
  await until("started", () => engine.started === 1);
  const sandbox = await sandboxOf(store, id);
  await until("said so", () => store.events.last(id, "sandbox_started"));
  say(store, sandbox, started);
  await until("running", () => stateOf(store, id)?.kind === "running");
});

test("a sandbox whose start was not written down any more is written down by the next server", async () => {
  const first = createHouse({ owner: "first" });
  const id = submit(first.store);
  const append = first.store.events.append;
  first.store.events.append = (taskId, event) => {
    if (event.kind !== "sandbox_started") append(taskId, event);
  };
  await first.scheduler.start();
  await until("started", () => first.engine.started === 1);
  await first.scheduler.close();

  first.store.events.append = append;
  const second = createHouse({ owner: "second" }, first.store, first.engine);
  await second.scheduler.start();
  await until("said so", () => second.store.events.last(id, "sandbox_started"));
  expect(first.engine.started).toBe(1);
});

test("a full disk at the very end of a sandbox's time does not take the server down", async () => {
  const { store, engine, scheduler } = createHouse();
  const { start } = engine;
  engine.start = async (spec) => {
    await start(spec);
    store.sandboxes.update(spec.id, { awakeMs: 24 * 3600 * 1000 });
  };
  const { append } = store.events;
  const refused = new Promise<void>((resolve) => {
    store.events.append = (taskId, event) => {
      if (event.kind !== "limit_reached") return append(taskId, event);
      resolve();
      throw fullDisk();
    };
  });
  const id = submit(store);
  await scheduler.start();
  await refused;
  // A rejection that nobody handles fails this test, as it would end the server.
  await Bun.sleep(10);
  expect(stateOf(store, id)?.kind).toBe("starting");
});

test("a full disk is no defect of a task, however long it lasts", async () => {
  const { store, scheduler } = createHouse({ leaseMs: 15 });
  const id = submit(store);
  const { update } = store.sandboxes;
  let refused = 0;
  await scheduler.start();
  const sandbox = await sandboxOf(store, id);
  const prompt = await openPrompt(store, sandbox);
  store.sandboxes.update = () => {
    refused += 1;
    throw fullDisk();
  };
  say(store, sandbox, started);
  await until("tried several times", () => refused > 5);
  store.sandboxes.update = update;
  await until("running", () => stateOf(store, id)?.kind === "running");
  say(store, sandbox, turnEnded(prompt));
  await until("finish", () => commandsOf(store, sandbox).at(-1)?.kind === "finish");
});

test("a clock that is set back by a day holds neither the queue nor a run that broke off", async () => {
  let behind = 0;
  const clock = { now: () => Date.now() - behind, randomBytes: ids.randomBytes };
  const { store, engine, scheduler } = createHouse({ holdMs: 60, leaseMs: 30 }, undefined, undefined, clock);
  engine.failWith = new CcwError("unavailable", "The container engine does not answer.");
  const id = submit(store);
  await scheduler.start();
  await until("tried", () => store.events.last(id, "appliance_notice"));
  behind = 24 * 3600 * 1000;
  engine.failWith = undefined;
  const sandbox = await sandboxOf(store, id);
  await until("started", () => engine.started === 1);

  const { update } = store.sandboxes;
  store.sandboxes.update = () => {
    throw fullDisk();
  };
  say(store, sandbox, started);
  await Bun.sleep(10);
  behind *= 2;
  store.sandboxes.update = update;
  await until("running", () => stateOf(store, id)?.kind === "running");
});

test("a sandbox that floods its transcript fails its task, and a person's prompt goes on with something else", async () => {
  const { store, engine, scheduler } = createHouse();
  const port = createControlPort(
    {
      store,
      tokens: createScopedTokens(new Uint8Array(32)),
      host: {
        endpointOf: () => nowhere,
        objectsOf: async () => "",
        create: async () => {},
        branches: async () => [],
        isHere: () => true,
        diff: async () => ({ patch: "", patchTruncated: false }),
        commits: async () => [],
        fileOf: async () => undefined,
        merge: async () => ({ kind: "contained" }),
      },
      kept: { endpointOf: () => nowhere },
      snapshots: { endpointOf: () => nowhere, holds: async () => new Set() },
      snapshotIgnored: false,
      lfs: () => undefined,
      publicUrl: () => "",
      authorities: "",
      attribution: usualAttribution,
      agents: createAgents(),
      egress: { egressOf: () => undefined },
      attachments: { find: async () => undefined },
    },
    10_000,
  );
  const id = submit(store);
  await scheduler.start();
  const sandbox = await sandboxOf(store, id);
  await until("started", () => engine.started === 1);
  say(store, sandbox, started, { kind: "turn_started", promptId: await openPrompt(store, sandbox) });
  await until("running", () => stateOf(store, id)?.kind === "running");
  const flood = (n: number) =>
    port.appendEvents(sandbox, [{ n, event: { kind: "notice", level: "info", text: "x".repeat(2000) } }]);
  for (let n = 3; n <= 7; n++) expect(flood(n)).toBe(n);
  expect(() => flood(8)).toThrow("is full");
  const failed = await until("failed", () => {
    const state = stateOf(store, id);
    return state?.kind === "failed" && state;
  });
  expect(failed.reason).toContain("into its transcript, which is the limit");
  expect(store.events.ofKinds(id, ["limit_reached"])).toHaveLength(1);
  await until("asleep", () => engine.stopped.has(sandbox));

  addPrompt(store, ids, id, store.people.ensure("ada"), { text: "Write the output into a file." });
  await until("woken", () => engine.restarted === 1);
  // What it had not got rid of, and the turn that had no end.
  for (let n = 7; n <= 9; n++) expect(flood(n)).toBe(n);
  const first = await openPrompt(store, sandbox);
  expect(commandsOf(store, sandbox).map(({ kind }) => kind)).toEqual(["prompt", "interrupt"]);
  say(store, sandbox, turnEnded(first, "interrupted"));
  const next = await until("the next prompt", () => commandsOf(store, sandbox)[2]);
  expect(next).toMatchObject({ text: "Write the output into a file." });
  say(store, sandbox, turnEnded(next.kind === "prompt" ? next.promptId : ""));
  await until("finish", () => commandsOf(store, sandbox).at(-1)?.kind === "finish");
  say(store, sandbox, finished);
  await until("completed", () => stateOf(store, id)?.kind === "completed");
});

test("an agent that asks without end pauses its task, is told so when a person lets it go on, and may ask again", async () => {
  const { store, engine, scheduler } = createHouse();
  const bob = store.people.ensure("bob");
  const id = submit(store);
  scheduler.start();
  const sandbox = await sandboxOf(store, id);
  const prompt = await openPrompt(store, sandbox);
  await until("awake", () => engine.running.has(sandbox));
  const ask = (name: string, times: number) =>
    say(store, sandbox, ...Array.from({ length: times }, (_, i) => question(`${name}${i}`)));
  say(store, sandbox, started, { kind: "turn_started", promptId: prompt });
  ask("a", 300);
  await until("waiting", () => stateOf(store, id)?.kind === "waiting");
  // What comes after the limit counts no more when the task goes on.
  ask("b", 301);
  await until("asleep", () => engine.stopped.has(sandbox));
  expect(stateOf(store, id)).toMatchObject({
    kind: "paused",
    why: "questions",
    reason: expect.stringContaining("300 questions"),
  });
  expect(commandsOf(store, sandbox).at(-1)).toEqual({ kind: "interrupt" });
  resumeTask(store, ids, id, bob);
  await until("awake again", () => engine.running.has(sandbox));
  say(store, sandbox, turnEnded(prompt, "interrupted"));
  const told = await until("the agent is told", () => commandsOf(store, sandbox)[2]);
  expect(told).toMatchObject({ kind: "prompt", text: expect.stringContaining("ask only what you cannot") });
  ask("c", 300);
  await until("waiting", () => stateOf(store, id)?.kind === "waiting");
  ask("d", 1);
  await until("paused again", () => stateOf(store, id)?.kind === "paused");
});

test("a door that a dead server left behind is cleared away, and one in use is not", async () => {
  const { store, doors, engine, scheduler } = createHouse();
  const left = newId("SandboxId", ids);
  await doors.open(left, submit(store));
  await scheduler.start();
  await until("started", () => engine.started === 1);
  const [used] = engine.running.keys();
  expect(await doors.list()).toEqual(used === undefined ? [] : [used]);
});

/** Nobody speaks git to it here. */
const nowhere: GitEndpoint = {
  serve: () => Promise.reject(new Error("there is no git here")),
  isSymbolicRef: async () => false,
};

test("a disk that is full at the push holds the task up, which tries again by itself, ever less often", async () => {
  let ahead = 0;
  const clock = { now: () => Date.now() + ahead, randomBytes: ids.randomBytes };
  const { store, engine, scheduler } = createHouse({ leaseMs: 30 }, undefined, undefined, clock);
  const id = submit(store);
  await scheduler.start();
  const sandbox = await sandboxOf(store, id);
  say(store, sandbox, started, turnEnded(await openPrompt(store, sandbox)));
  const finishes = () => commandsOf(store, sandbox).filter(({ kind }) => kind === "finish").length;
  const waits: number[] = [];
  for (let tries = 1; tries <= 3; tries++) {
    await until("asked to hand over", () => finishes() === tries);
    const from = clock.now();
    say(store, sandbox, {
      ...{ kind: "finished", outcome: "no_space", text: "It could not be pushed: the disk is full." },
      hint: "Free some space.",
    });
    const paused = await until("waiting", () => {
      const state = stateOf(store, id);
      return state?.kind === "paused" && state;
    });
    expect(paused).toMatchObject({ why: "no_space", hint: "Free some space." });
    await until("asleep", () => engine.stopped.has(sandbox));
    waits.push(Math.round(((paused.until ?? 0) - from) / 60_000));
    ahead += (paused.until ?? 0) - from;
  }
  expect(waits).toEqual([1, 1, 2]);
  await until("asked to hand over", () => finishes() === 4);
  // Of a task without repositories this is all that is said, and it may be said before anything began.
  say(store, sandbox, finished);
  await until("asked once more", () => finishes() === 5);
  say(store, sandbox, finished);
  await until("completed", () => stateOf(store, id)?.kind === "completed");
  expect(store.prompts.list(id)).toHaveLength(1);
});

test("a disk of the engine that is full when a sandbox is to be made keeps the task waiting", async () => {
  const engine = createTableEngine();
  const { store, scheduler } = createHouse({ holdMs: 20, leaseMs: 60 }, undefined, engine);
  engine.failWith = new CcwError("no_space", "The disk of the container engine is full.", "Make room.");
  const id = submit(store);
  await scheduler.start();
  const notice = await until("a word", () => store.events.last(id, "appliance_notice"));
  expect(notice.body).toMatchObject({ text: expect.stringContaining("is full. The task waits") });
  await until("it waits", () => stateOf(store, id)?.kind === "queued");
  engine.failWith = undefined;
  await until("started", () => engine.started === 1);
});
