import { imageFor } from "../domain/agents.ts";
import { CcwError, messageOf } from "../domain/errors.ts";
import { type IdSource, newId, type PromptId, type SandboxId, type TaskId } from "../domain/ids.ts";
import { pause } from "../domain/pause.ts";
import type { DoorKeeper, Log, RepositoryHost } from "../domain/ports.ts";
import type { SandboxEngine } from "../domain/sandbox.ts";
import type { Store, TaskRow } from "../domain/store.ts";
import { isActive } from "../domain/task.ts";
import { follow } from "./follow.ts";
import { openQuestions } from "./questions.ts";
import { react, restOf, sendNextPrompt } from "./react.ts";

/**
 * A task's life, from the moment it is claimed. Whatever happens to it — in the sandbox, by a person, by a limit —
 * stands in its events; this follows them by a stored cursor and acts on each once. So it can be begun again at any
 * point, by another server process, and goes on where it was.
 */
export interface RunContext {
  store: Store;
  engine: SandboxEngine;
  doors: DoorKeeper;
  host: Pick<RepositoryHost, "objectsOf">;
  log: Log;
  ids: IdSource;
  /** How long a task without work keeps its sandbox awake, and how long a question waits for a person (ms). */
  idleMs: number;
  questionMs: number;
}

/**
 * `rests`: the task is active no longer, and its sandbox sleeps. `left`: the signal aborted, and the sandbox lives on.
 * `no engine`, `no repository`: it cannot be started for now; the first is true of every task, the second of those with
 * the same repositories.
 */
export type RunResult =
  | { kind: "rests" }
  | { kind: "left" }
  | { kind: "no engine"; cause: CcwError }
  | { kind: "no repository"; cause: CcwError };

type NotNow = Exclude<RunResult, { kind: "rests" }>;

/** From here on the bringing up to date of mirrors is worth a line in the transcript. */
const noticeableMs = 1000;

export async function runTask(task: TaskRow, context: RunContext, signal: AbortSignal): Promise<RunResult> {
  const { store } = context;
  for (;;) {
    const state = store.tasks.stateOf(task.id);
    if (state === undefined || !isActive(state)) return { kind: "rests" };
    const provided = await provideSandbox(task, state.sandboxId, context, signal);
    if (typeof provided !== "string") return provided;
    const outcome = await followSandbox(task, provided, context, signal);
    if (outcome === "left") return { kind: "left" };
    if (outcome === "rests") {
      await putToSleep(provided, context);
      return { kind: "rests" };
    }
  }
}

/** Acts on what happens to the task and watches over its sandbox, until it rests, is lost, or the signal comes. */
async function followSandbox(
  task: TaskRow,
  sandboxId: SandboxId,
  context: RunContext,
  signal: AbortSignal,
): Promise<"rests" | "lost" | "left"> {
  const watching = new AbortController();
  const stop = AbortSignal.any([signal, watching.signal]);
  const watchers = [
    watchSandbox(task, sandboxId, context, stop),
    watchTime(task, sandboxId, context, stop),
    watchPatience(task, sandboxId, context, stop),
  ];
  try {
    return await followEvents(task, sandboxId, context, signal);
  } finally {
    watching.abort();
    await Promise.all(watchers);
  }
}

async function followEvents(
  task: TaskRow,
  sandboxId: SandboxId,
  { store, ids }: RunContext,
  signal: AbortSignal,
): Promise<"rests" | "lost" | "left"> {
  const cursor = store.sandboxes.get(sandboxId)?.cursor ?? 0;
  for await (const batch of follow(store, task.id, cursor, signal)) {
    const { outcomes, rests } = store.atomically(() => {
      const reached = batch.map((event) => react(store, ids, task.id, sandboxId, event.body));
      // A stream of words costs no second commit: what has no effect may be read again.
      const seq = batch.at(-1)?.seq;
      if (seq !== undefined && reached.some((outcome) => outcome !== "no effect"))
        store.sandboxes.update(sandboxId, { cursor: seq });
      const state = store.tasks.stateOf(task.id);
      return { outcomes: reached, rests: state === undefined || !isActive(state) };
    });
    if (rests) return "rests";
    if (outcomes.includes("lost")) return "lost";
  }
  return "left";
}

/**
 * Opens the door and has the sandbox running: made anew, started again where it was stopped or has died, or built again
 * from the last snapshot under another id where its container is gone. Returns its id, or what stands in the way for now;
 * what is expected to fail for good ends the task through its events.
 */
async function provideSandbox(
  task: TaskRow,
  sandboxId: SandboxId,
  context: RunContext,
  signal: AbortSignal,
): Promise<SandboxId | NotNow> {
  const { store, engine, doors } = context;
  try {
    const doorFolder = await doors.open(sandboxId, task.id);
    const record = store.sandboxes.get(sandboxId);
    // The prompt is handed out before the sandbox is started: without that, there is none to look for.
    const isNew = record?.acked === 0 && record.busyWith === undefined;
    const found = isNew ? undefined : (await engine.list()).find((sandbox) => sandbox.id === sandboxId);
    if (found === undefined && (record?.acked ?? 0) > 0) {
      await doors.close(sandboxId);
      const next = replaceSandbox(task, sandboxId, context);
      return next === undefined ? sandboxId : await provideSandbox(task, next, context, signal);
    }
    if (found?.running !== true) {
      store.atomically(() => {
        const hasWork = sendNextPrompt(store, task.id, sandboxId);
        // Woken for nothing but to hand its work over, it would say nothing by itself.
        if (!hasWork && found !== undefined) store.sandboxes.appendCommand(sandboxId, { kind: "finish" });
      });
    }
    if (found === undefined) {
      const made = await makeSandbox(task, sandboxId, doorFolder, context, signal);
      if (made !== undefined) return made.kind === "none" ? sandboxId : made;
    } else if (!found.running) {
      await engine.restart(sandboxId);
    }
    const said = store.events.last(task.id, "sandbox_started")?.body;
    if (said?.kind !== "sandbox_started" || said.sandboxId !== sandboxId) {
      const { image } = store.tasks.environmentOf(task.id);
      store.events.append(task.id, {
        ...{ kind: "sandbox_started", sandboxId },
        ...{ engine: await engine.describe(), image: await engine.resolveImage(imageFor(task.agent, image)) },
      });
    }
    return sandboxId;
  } catch (thrown) {
    if (!(thrown instanceof CcwError)) throw thrown;
    if (thrown.code === "unavailable" && store.tasks.stateOf(task.id)?.kind === "starting") {
      return { kind: "no engine", cause: thrown };
    }
    if (thrown.code === "unavailable") throw thrown;
    store.events.append(task.id, { kind: "limit_reached", reason: thrown.message, hint: thrown.hint });
    return sandboxId;
  }
}

/** A container of a new sandbox: its repositories' objects are made ready, and it is created and started. */
async function makeSandbox(
  task: TaskRow,
  sandboxId: SandboxId,
  doorFolder: string,
  context: RunContext,
  signal: AbortSignal,
): Promise<NotNow | { kind: "none" } | undefined> {
  const { store, engine } = context;
  const { image: wanted, limits } = store.tasks.environmentOf(task.id);
  const borrowing = borrowObjects(task, sandboxId, context, signal);
  // Looked at below; meanwhile it may fail.
  borrowing.catch(() => {});
  const image = await engine.resolveImage(imageFor(task.agent, wanted));
  const borrowed = await borrowing;
  if (borrowed !== undefined) return borrowed;
  const { objectFolders } = store.sandboxes.get(sandboxId) ?? { objectFolders: [] };
  await engine.start({ id: sandboxId, taskId: task.id, image, limits, doorFolder, objectFolders });
  return undefined;
}

/** Another sandbox in the place of one whose container is gone. The turn that was lost with it begins again. */
function replaceSandbox(task: TaskRow, lost: SandboxId, { store, ids }: RunContext): SandboxId | undefined {
  return store.atomically(() => {
    if (!hearAll(task.id, lost, store, ids)) return undefined;
    const sandboxId = newId("SandboxId", ids);
    const { busyWith } = store.sandboxes.get(lost) ?? {};
    const again = [
      ...(busyWith === undefined ? [] : [busyWith]),
      ...store.prompts.underway(task.id).map(({ id }) => id),
    ];
    for (const id of again.reverse()) {
      // What was being worked on when a person stopped the task stays undone.
      if (!wasStopped(store, task.id, id)) store.prompts.mark(id, "queued");
    }
    store.sandboxes.update(lost, { endedAt: ids.now() });
    store.sandboxes.create(sandboxId, task.id);
    const reason = "Its container is gone.";
    store.events.append(task.id, { kind: "sandbox_removed", sandboxId: lost, reason });
    store.tasks.move(task.id, { kind: "starting", sandboxId });
    return sandboxId;
  });
}

const wasStopped = (store: Store, taskId: TaskId, id: PromptId): boolean =>
  (store.events.last(taskId, "cancel_requested")?.at ?? 0) > (store.prompts.get(id)?.createdAt ?? 0);

/** Acts on what was not heard yet, for a sandbox that is followed no longer; whether its task is active still. */
function hearAll(taskId: TaskId, sandboxId: SandboxId, store: Store, ids: IdSource): boolean {
  for (;;) {
    const state = store.tasks.stateOf(taskId);
    if (state === undefined || !isActive(state)) return false;
    const batch = store.events.after(taskId, store.sandboxes.get(sandboxId)?.cursor ?? 0, 500);
    const last = batch.at(-1);
    if (last === undefined) return true;
    for (const { body } of batch) react(store, ids, taskId, sandboxId, body);
    store.sandboxes.update(sandboxId, { cursor: last.seq });
  }
}

/**
 * Has the objects of the task's repositories ready on this machine, as new as they are now, and writes down which
 * folders the sandbox borrows before anything does. Undefined when that is done; `none` when the task was ended or the
 * server stops meanwhile. What is refused for good rejects.
 */
async function borrowObjects(
  task: TaskRow,
  sandboxId: SandboxId,
  { store, host, ids }: RunContext,
  signal: AbortSignal,
): Promise<NotNow | { kind: "none" } | undefined> {
  const cancelled = new AbortController();
  const stop = AbortSignal.any([signal, cancelled.signal]);
  // Nobody follows the task's events yet, and a large repository takes its time.
  const cursor = store.sandboxes.get(sandboxId)?.cursor ?? 0;
  const look = () => {
    const seq = store.events.last(task.id, "cancel_requested")?.seq ?? 0;
    if (seq > cursor) cancelled.abort();
  };
  const off = store.wakes.on(task.id, look);
  const began = ids.now();
  try {
    look();
    const objectFolders = await Promise.all(task.repositories.map(({ name }) => host.objectsOf(name, stop)));
    stop.throwIfAborted();
    store.sandboxes.update(sandboxId, { objectFolders });
  } catch (thrown) {
    if (signal.aborted) return { kind: "left" };
    // What was asked for stands in the events, which are followed next.
    if (cancelled.signal.aborted) return { kind: "none" };
    if (thrown instanceof CcwError && passes(thrown)) return { kind: "no repository", cause: thrown };
    throw thrown;
  } finally {
    off();
    // The other repositories need not go on where one has failed.
    cancelled.abort();
  }
  const ms = ids.now() - began;
  if (ms >= noticeableMs) {
    const names = task.repositories.map(({ name }) => name).join(", ");
    const text = `${names}: brought up to date on the appliance in ${(ms / 1000).toFixed(1)} s.`;
    store.events.append(task.id, { kind: "appliance_notice", level: "info", text });
  }
  return undefined;
}

const passes = ({ code }: CcwError): boolean =>
  code === "unavailable" || code === "rate_limited" || code === "no_space";

/** Puts a task back whose sandbox could not be started; it waits, and says so once. */
export async function putBack(
  task: TaskRow,
  cause: CcwError,
  { store, doors, ids }: RunContext,
): Promise<void> {
  const state = store.tasks.stateOf(task.id);
  if (state === undefined || !isActive(state)) return;
  const { sandboxId } = state;
  store.atomically(() => {
    // The next sandbox's cursor begins behind these: what a person said meanwhile is heard here or never.
    if (!hearAll(task.id, sandboxId, store, ids)) return;
    const sandbox = store.sandboxes.get(sandboxId);
    // One that has run is tried again, with what it was given to do.
    if (sandbox?.acked === 0) {
      store.sandboxes.update(sandboxId, { endedAt: ids.now() });
      if (sandbox.busyWith !== undefined) store.prompts.mark(sandbox.busyWith, "queued");
    }
    const text = `${cause.message} The task waits and is tried again. ${cause.hint}`.trim();
    const said = store.events.last(task.id, "appliance_notice")?.body;
    if (said?.kind !== "appliance_notice" || said.text !== text) {
      store.events.append(task.id, { kind: "appliance_notice", level: "warning", text });
    }
    store.tasks.move(task.id, { kind: "queued" });
  });
  await doors.close(sandboxId);
}

/** Writes down the sandbox's end, however it came. */
async function watchSandbox(
  task: TaskRow,
  sandboxId: SandboxId,
  { store, engine, log }: RunContext,
  signal: AbortSignal,
): Promise<void> {
  await persist(log, sandboxId, signal, async () => {
    const exit = await engine.wait(sandboxId, signal);
    if (signal.aborted) return;
    const said = exit.exitCode === 0 ? "" : (await engine.tail(sandboxId, 2000)).trim();
    const reason = said === "" ? exit.reason : `${exit.reason}. Its last words: ${said}`;
    store.events.append(task.id, { kind: "sandbox_died", sandboxId, exitCode: exit.exitCode, reason });
  });
}

async function watchTime(
  task: TaskRow,
  sandboxId: SandboxId,
  { store, log, ids: { now } }: RunContext,
  signal: AbortSignal,
): Promise<void> {
  const { minutes } = store.tasks.environmentOf(task.id).limits;
  const startedAt = store.sandboxes.get(sandboxId)?.startedAt ?? now();
  await pause(Math.max(0, startedAt + minutes * 60_000 - now()), signal);
  await persist(log, sandboxId, signal, () =>
    store.events.append(task.id, {
      kind: "limit_reached",
      reason: `The task ran for ${minutes} min, which is the limit of its environment.`,
      hint: `Raise limits.minutes of the environment ${task.environment}, or hand over a smaller task.`,
    }),
  );
}

/**
 * Puts the sandbox to sleep when its task has been idle for long enough, and answers for a person who does not. Times are
 * counted from when this process saw the state first, by a clock that does not jump.
 */
async function watchPatience(
  task: TaskRow,
  sandboxId: SandboxId,
  { store, log, idleMs, questionMs }: RunContext,
  signal: AbortSignal,
): Promise<void> {
  let seen = -1;
  let since = 0;
  while (!signal.aborted) {
    const state = store.tasks.stateOf(task.id);
    const moved = store.events.last(task.id, "state")?.seq ?? 0;
    const now = performance.now();
    if (moved !== seen) [seen, since] = [moved, now];
    const limit = state?.kind === "idle" ? idleMs : state?.kind === "waiting" ? questionMs : undefined;
    if (limit !== undefined && now - since >= limit) {
      await persist(log, sandboxId, signal, () => {
        if (state?.kind === "idle") rest(store, task.id, "It had nothing to do.");
        else giveUpWaiting(store, task.id, sandboxId);
      });
    }
    await pause(Math.min(1000, Math.max(10, (limit ?? 1000) / 4)), signal);
  }
}

/** Lets an idle task's sandbox fall asleep; whoever follows the task stops its container. */
export function rest(store: Store, taskId: TaskId, reason: string): void {
  store.atomically(() => {
    const state = store.tasks.stateOf(taskId);
    if (state?.kind !== "idle") return;
    store.events.append(taskId, { kind: "sandbox_asleep", sandboxId: state.sandboxId, reason });
    store.tasks.move(taskId, restOf(state));
  });
}

/** The agent's questions are answered in the place of a person who did not. */
function giveUpWaiting(store: Store, taskId: TaskId, sandboxId: SandboxId): void {
  store.atomically(() => {
    for (const { requestId } of openQuestions(store, taskId, sandboxId)) {
      const message =
        "Nobody answered in the time that the appliance waits. Go on as you think best, and say what you assumed.";
      store.events.append(taskId, {
        ...{ kind: "answered", requestId, person: "" },
        answer: { behavior: "deny", message },
      });
    }
  });
}

/** Does it, and tries again for as long as the engine is away or the disk is full. Never rejects. */
async function persist(
  log: Log,
  sandboxId: SandboxId,
  signal: AbortSignal,
  work: () => Promise<void> | void,
): Promise<void> {
  while (!signal.aborted) {
    try {
      return await work();
    } catch (thrown) {
      if (signal.aborted) return;
      log.warn("a sandbox cannot be watched; trying again", { sandboxId, reason: messageOf(thrown) });
      await pause(5000, signal);
    }
  }
}

/** Stops a sandbox whose task rests; its files stay. Never rejects. */
export async function putToSleep(
  sandboxId: SandboxId,
  { engine, doors, log }: Pick<RunContext, "engine" | "doors" | "log">,
): Promise<void> {
  try {
    // The door last: what the guest still holds goes through it.
    await engine.stop(sandboxId);
    await doors.close(sandboxId);
  } catch (thrown) {
    // Left to the reaper, which looks for sandboxes that are awake without an active task.
    log.warn("a sandbox could not be stopped", { sandboxId, reason: messageOf(thrown) });
  }
}
