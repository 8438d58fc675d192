import { expect } from "bun:test";
import { randomBytes } from "node:crypto";
import { until } from "../../test/until.ts";
import { createAgents } from "../domain/agents.ts";
import { type EnvironmentInput, environmentSchema } from "../domain/environment.ts";
import { CcwError } from "../domain/errors.ts";
import type { GuestEvent } from "../domain/event.ts";
import { type IdSource, newId, type SandboxId, type TaskId } from "../domain/ids.ts";
import type { DoorKeeper, Log } from "../domain/ports.ts";
import type { SandboxEngine, SandboxExit, SandboxSpec, SandboxStatus } from "../domain/sandbox.ts";
import type { Store } from "../domain/store.ts";
import { isActive } from "../domain/task.ts";
import { createSeal } from "../store/seal.ts";
import { openStore } from "../store/store.ts";
import type { RunContext } from "./run-context.ts";
import { createScheduler, type SchedulerOptions } from "./scheduler.ts";

/**
 * The whole of runs/ on a real database. The engine is a table of what "runs"; what a sandbox says is written as its
 * guest's events. Real containers and the real agent play the same stories in test/e2e.
 */
export const ids: IdSource = { now: () => Date.now(), randomBytes: (n) => randomBytes(n) };
const silent: Log = { info() {}, warn() {}, error() {} };
const closers: (() => Promise<void> | void)[] = [];
export async function closeHouses(): Promise<void> {
  for (const close of closers.splice(0).reverse()) await close();
}

interface Row {
  spec: SandboxSpec;
  end: (exit: SandboxExit) => void;
  ended: Promise<SandboxExit>;
}

/** `running`: its containers that run; `stopped`: those that are there and do not. */
export function createTableEngine() {
  const running = new Map<SandboxId, Row>();
  const stopped = new Map<SandboxId, SandboxSpec>();
  const run = (spec: SandboxSpec) => {
    const { promise, resolve } = Promise.withResolvers<SandboxExit>();
    const end = (exit: SandboxExit) => {
      running.delete(spec.id);
      stopped.set(spec.id, spec);
      resolve(exit);
    };
    stopped.delete(spec.id);
    running.set(spec.id, { spec, end, ended: promise });
  };
  const engine = {
    ...{ running, stopped, started: 0, restarted: 0 },
    failWith: undefined as CcwError | undefined,
    async start(spec) {
      if (engine.failWith !== undefined) throw engine.failWith;
      // As with real ones: a container that has run is never run again by this.
      if (stopped.has(spec.id)) return;
      engine.started += 1;
      run(spec);
    },
    async restart(id) {
      if (engine.failWith !== undefined) throw engine.failWith;
      const spec = stopped.get(id);
      if (spec === undefined) throw new CcwError("not_found", "gone");
      engine.restarted += 1;
      run(spec);
    },
    async stop(id) {
      running.get(id)?.end({ exitCode: 143, reason: "was stopped" });
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
      stopped.delete(id);
    },
    async list() {
      if (engine.failWith !== undefined) throw engine.failWith;
      const row = (condition: SandboxStatus["condition"]) => (spec: SandboxSpec) => ({
        ...{ id: spec.id, taskId: spec.taskId, condition },
      });
      return [
        ...[...running.values()].map(({ spec }) => spec).map(row("running")),
        ...[...stopped.values()].map(row("stopped")),
      ];
    },
    tail: async () => "the last words",
    resolveImage: async (image) => `ccw/${image}:1`,
    describe: async () => "table 1",
  } satisfies SandboxEngine & Record<string, unknown>;
  return engine;
}

export function createHouse(
  options: Partial<SchedulerOptions> = {},
  store?: Store,
  engine = createTableEngine(),
  clock: IdSource = ids,
  patience: Partial<Pick<RunContext, "idleMs" | "questionMs">> = {},
) {
  const rows = store ?? openStore(":memory:", createSeal(new Uint8Array(32)), clock);
  const open = new Set<SandboxId>();
  /** What runs on without a door never finds one again. */
  const doorless: SandboxId[] = [];
  const doors: DoorKeeper = {
    async open(id) {
      open.add(id);
      return `/doors/${id}`;
    },
    async close(id) {
      open.delete(id);
      if (engine.running.has(id)) doorless.push(id);
    },
    list: async () => [...open],
  };
  const host = {
    isHere: (_name: string) => true,
    objectsOf: async (name: string, _signal: AbortSignal) => `/mirrors/${name}`,
  };
  const scheduler = createScheduler(
    {
      store: rows,
      engine,
      doors,
      host,
      log: silent,
      ids: clock,
      agents: createAgents(),
      idleMs: 0,
      questionMs: 60_000,
      ...patience,
    },
    { owner: crypto.randomUUID(), parallel: 2, ...options },
  );
  closers.push(async () => {
    await scheduler.close();
    expect(doorless).toEqual([]);
  });
  return { store: rows, engine, doors, host, scheduler };
}

export function submit(
  store: Store,
  environment: Partial<EnvironmentInput> = {},
  repositories: string[] = [],
  person = "ada",
): TaskId {
  const id = newId("TaskId", ids);
  store.tasks.create({
    id,
    title: "t",
    person: store.people.ensure(person),
    environment: environmentSchema.parse({ name: "default", ...environment }),
    agent: "claude",
    model: "",
    repositories: repositories.map((name) => ({ name, baseBranch: "main", workBranch: "claude/t" })),
    prompt: { id: newId("PromptId", ids), text: "first" },
  });
  return id;
}

export const stateOf = (store: Store, id: TaskId) => store.tasks.get(id)?.state;
export const sandboxOf = async (store: Store, id: TaskId) =>
  until("a sandbox", () => {
    const state = stateOf(store, id);
    return state !== undefined && isActive(state) && state.sandboxId;
  });
export const commandsOf = (store: Store, id: SandboxId) =>
  store.sandboxes.commandsAfter(id, 0, 100).map(({ command }) => command);

/** Sends events as the guest does, numbered on from what is held. */
export function say(store: Store, id: SandboxId, ...events: GuestEvent[]): void {
  const from = store.sandboxes.get(id)?.acked ?? 0;
  store.sandboxes.appendEvents(
    id,
    events.map((event, i) => ({ n: from + i + 1, event })),
  );
}
export const started: GuestEvent = { kind: "step_started", step: "agent", detail: "" };
export const turnEnded = (
  promptId: string,
  outcome: "done" | "error" | "interrupted" = "done",
): GuestEvent => ({
  kind: "turn_ended",
  promptId,
  outcome,
  text: outcome === "done" ? "I did it" : "API Error: 400",
  usage: { inputTokens: 1, outputTokens: 1 },
});
export const finished: GuestEvent = { kind: "finished", outcome: "completed", text: "All pushed.", hint: "" };
export const question = (requestId: string): GuestEvent => ({
  kind: "question",
  requestId,
  tool: "Bash",
  input: { command: "rm" },
});

/** The prompt that the sandbox was given and has not answered. */
export async function openPrompt(store: Store, sandboxId: SandboxId): Promise<string> {
  return until("a prompt", () => store.sandboxes.get(sandboxId)?.busyWith);
}
