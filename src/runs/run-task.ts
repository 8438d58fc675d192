import { CcwError, messageOf } from "../domain/errors.ts";
import type { SandboxId } from "../domain/ids.ts";
import type { DoorKeeper, Log } from "../domain/ports.ts";
import type { SandboxEngine } from "../domain/sandbox.ts";
import type { Store, TaskRow } from "../domain/store.ts";
import { isActive } from "../domain/task.ts";
import { follow } from "./follow.ts";
import { react, sendNextPrompt } from "./react.ts";

/**
 * A task's life, from the moment it is claimed. Whatever happens to it — in the sandbox, by a person, by a limit —
 * stands in its events; this follows them by a stored cursor and acts on each once. So it can be begun again at any
 * point, by another server process, and goes on where it was.
 */
export interface RunContext {
  store: Store;
  engine: SandboxEngine;
  doors: DoorKeeper;
  log: Log;
  now(): number;
}

/** Resolves when the task has ended, was put back into the queue, or the signal has aborted (the sandbox then lives on). */
export async function runTask(
  task: TaskRow,
  context: RunContext,
  signal: AbortSignal,
): Promise<"ended" | "requeued" | "left"> {
  if (!isActive(task.state)) return "ended";
  const { sandboxId } = task.state;
  const watching = new AbortController();
  const stop = AbortSignal.any([signal, watching.signal]);

  try {
    const provided = await provideSandbox(task, sandboxId, context);
    if (provided === "requeued") return "requeued";
    const watchers = [
      watchSandbox(task, sandboxId, context, stop),
      watchTime(task, sandboxId, context, stop),
    ];
    const ended = await followEvents(task, sandboxId, context, signal);
    watching.abort();
    await Promise.all(watchers);
    if (!ended) return "left";
  } finally {
    watching.abort();
  }
  await removeSandbox(sandboxId, context);
  return "ended";
}

/** Acts on events until one of them ends the task; false when the signal came first. */
async function followEvents(
  task: TaskRow,
  sandboxId: SandboxId,
  { store }: RunContext,
  signal: AbortSignal,
): Promise<boolean> {
  const cursor = store.sandboxes.get(sandboxId)?.cursor ?? 0;
  for await (const batch of follow(store, task.id, cursor, signal)) {
    const ended = store.atomically(() => {
      for (const event of batch) {
        store.sandboxes.update(sandboxId, { cursor: event.seq });
        if (react(store, task.id, sandboxId, event.body) === "ended") return true;
      }
      return false;
    });
    if (ended) return true;
  }
  return false;
}

/** Opens the door and starts the sandbox, unless an earlier server process has done so. */
async function provideSandbox(
  task: TaskRow,
  sandboxId: SandboxId,
  context: RunContext,
): Promise<"provided" | "requeued"> {
  const { store, engine, doors } = context;
  try {
    const doorFolder = await doors.open(sandboxId, task.id);
    const present = (await engine.list()).some((sandbox) => sandbox.id === sandboxId);
    if (present) return "provided";

    if ((store.sandboxes.get(sandboxId)?.acked ?? 0) > 0) {
      const reason = "the container is gone: it was removed while the server was away";
      store.events.append(task.id, { kind: "sandbox_died", sandboxId, exitCode: -1, reason });
      return "provided";
    }
    const environment = store.tasks.environmentOf(task.id);
    const image = await engine.resolveImage(environment.image);
    store.atomically(() => sendNextPrompt(store, task.id, sandboxId));
    await engine.start({ id: sandboxId, taskId: task.id, image, limits: environment.limits, doorFolder });
    store.events.append(task.id, {
      kind: "sandbox_started",
      sandboxId,
      engine: await engine.describe(),
      image,
    });
    return "provided";
  } catch (thrown) {
    if (!(thrown instanceof CcwError)) throw thrown;
    if (thrown.code === "unavailable" && task.state.kind === "starting") {
      await requeue(task, sandboxId, context, thrown);
      return "requeued";
    }
    if (thrown.code === "unavailable") throw thrown;
    store.events.append(task.id, { kind: "limit_reached", reason: thrown.message, hint: thrown.hint });
    return "provided";
  }
}

/** The engine is away and nothing has run yet: the task waits, and says so. */
async function requeue(
  task: TaskRow,
  sandboxId: SandboxId,
  context: RunContext,
  cause: CcwError,
): Promise<void> {
  const { store } = context;
  store.atomically(() => {
    const busyWith = store.sandboxes.get(sandboxId)?.busyWith;
    if (busyWith !== undefined) store.prompts.mark(busyWith, "queued");
    store.sandboxes.update(sandboxId, { endedAt: context.now() });
    const text = `${cause.message} The task waits and is tried again. ${cause.hint}`.trim();
    if (store.events.last(task.id, "appliance_notice")?.body.kind !== "appliance_notice") {
      store.events.append(task.id, { kind: "appliance_notice", level: "warning", text });
    }
    store.tasks.move(task.id, { kind: "queued" });
  });
  await context.doors.close(sandboxId);
}

/** Writes down the sandbox's end, however it came. */
async function watchSandbox(
  task: TaskRow,
  sandboxId: SandboxId,
  context: RunContext,
  signal: AbortSignal,
): Promise<void> {
  const { store, engine, log } = context;
  while (!signal.aborted) {
    try {
      const exit = await engine.wait(sandboxId, signal);
      if (signal.aborted) return;
      const said = exit.exitCode === 0 ? "" : (await engine.tail(sandboxId, 2000)).trim();
      const reason = said === "" ? exit.reason : `${exit.reason}. Its last words: ${said}`;
      store.events.append(task.id, { kind: "sandbox_died", sandboxId, exitCode: exit.exitCode, reason });
      return;
    } catch (thrown) {
      if (signal.aborted) return;
      log.warn("the engine cannot be asked about a sandbox; trying again", {
        sandboxId,
        reason: messageOf(thrown),
      });
      await pause(5000, signal);
    }
  }
}

async function watchTime(
  task: TaskRow,
  sandboxId: SandboxId,
  context: RunContext,
  signal: AbortSignal,
): Promise<void> {
  const { minutes } = context.store.tasks.environmentOf(task.id).limits;
  const startedAt = context.store.sandboxes.get(sandboxId)?.startedAt ?? context.now();
  await pause(Math.max(0, startedAt + minutes * 60_000 - context.now()), signal);
  if (signal.aborted) return;
  context.store.events.append(task.id, {
    kind: "limit_reached",
    reason: `The task ran for ${minutes} minutes, which is the limit of its environment.`,
    hint: `Raise limits.minutes of the environment ${task.environment}, or hand over a smaller task.`,
  });
}

async function removeSandbox(
  sandboxId: SandboxId,
  { store, engine, doors, log, now }: RunContext,
): Promise<void> {
  store.sandboxes.update(sandboxId, { endedAt: now() });
  await doors.close(sandboxId);
  try {
    await engine.remove(sandboxId);
  } catch (thrown) {
    // Left to the reaper, which looks for sandboxes without an active task.
    log.warn("a sandbox could not be removed", { sandboxId, reason: messageOf(thrown) });
  }
}

/** Resolves after `ms`, or at once when the signal aborts. setTimeout holds 2^31 - 1 ms at most; a week is less. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });
}
