import { CcwError, messageOf } from "../domain/errors.ts";
import type { SandboxId } from "../domain/ids.ts";
import { pause } from "../domain/pause.ts";
import type { DoorKeeper, Log, RepositoryHost } from "../domain/ports.ts";
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
  host: Pick<RepositoryHost, "objectsOf">;
  log: Log;
  now(): number;
}

/**
 * `left`: the signal aborted, and the sandbox lives on. `no engine`, `no repository`: nothing has run yet, and nothing
 * can for now; the first is true of every task, the second of those with the same repositories.
 */
export type RunResult =
  | { kind: "ended" }
  | { kind: "left" }
  | { kind: "no engine"; cause: CcwError }
  | { kind: "no repository"; cause: CcwError };

type NotNow = Exclude<RunResult, { kind: "ended" }>;

/** From here on the bringing up to date of mirrors is worth a line in the transcript. */
const noticeableMs = 1000;

export async function runTask(task: TaskRow, context: RunContext, signal: AbortSignal): Promise<RunResult> {
  if (!isActive(task.state)) return { kind: "ended" };
  const { sandboxId } = task.state;
  const watching = new AbortController();
  const stop = AbortSignal.any([signal, watching.signal]);

  try {
    const notNow = await provideSandbox(task, sandboxId, context, signal);
    if (notNow !== undefined) return notNow;
    const watchers = [
      watchSandbox(task, sandboxId, context, stop),
      watchTime(task, sandboxId, context, stop),
    ];
    const ended = await followEvents(task, sandboxId, context, signal);
    watching.abort();
    await Promise.all(watchers);
    if (!ended) return { kind: "left" };
  } finally {
    watching.abort();
  }
  await removeSandbox(sandboxId, context);
  return { kind: "ended" };
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
    const outcomes = store.atomically(() => {
      const reached = batch.map((event) => react(store, task.id, sandboxId, event.body));
      // A stream of words costs no second commit: what has no effect may be read again.
      const seq = batch.at(-1)?.seq;
      if (seq !== undefined && reached.some((outcome) => outcome !== "no effect"))
        store.sandboxes.update(sandboxId, { cursor: seq });
      return reached;
    });
    if (outcomes.includes("ended")) return true;
  }
  return false;
}

/**
 * Opens the door and starts the sandbox, unless an earlier server process has done so. Returns what stands in the way
 * where nothing has run yet and it may pass; what else is expected to fail ends the task through its events.
 */
async function provideSandbox(
  task: TaskRow,
  sandboxId: SandboxId,
  context: RunContext,
  signal: AbortSignal,
): Promise<NotNow | undefined> {
  const { store, engine, doors } = context;
  try {
    const doorFolder = await doors.open(sandboxId, task.id);
    const record = store.sandboxes.get(sandboxId);
    const hasRun = (record?.acked ?? 0) > 0;
    // The prompt is handed out before the sandbox is started: without that, there is none to look for.
    const isNew = !hasRun && record?.busyWith === undefined;
    const found = isNew ? undefined : (await engine.list()).find((sandbox) => sandbox.id === sandboxId);
    if (found === undefined && hasRun) {
      const reason = "the container is gone: it was removed while the server was away";
      store.events.append(task.id, { kind: "sandbox_died", sandboxId, exitCode: -1, reason });
      return undefined;
    }
    const { image: wanted, limits } = store.tasks.environmentOf(task.id);
    // Created and not started is how a sandbox is found of a server that died in between.
    const toStart = found?.running !== true && !hasRun;
    const borrowing =
      toStart && found === undefined ? borrowObjects(task, sandboxId, context, signal) : undefined;
    // Looked at below; meanwhile it may fail.
    borrowing?.catch(() => {});
    const image = await engine.resolveImage(wanted);
    const name = await engine.describe();
    const borrowed = await borrowing;
    if (borrowed !== undefined) return borrowed.kind === "none" ? undefined : borrowed;
    if (toStart) {
      store.atomically(() => sendNextPrompt(store, task.id, sandboxId));
      const { objectFolders } = store.sandboxes.get(sandboxId) ?? { objectFolders: [] };
      await engine.start({ id: sandboxId, taskId: task.id, image, limits, doorFolder, objectFolders });
    }
    const said = store.events.last(task.id, "sandbox_started")?.body;
    if (said?.kind !== "sandbox_started" || said.sandboxId !== sandboxId) {
      store.events.append(task.id, { kind: "sandbox_started", sandboxId, engine: name, image });
    }
    return undefined;
  } catch (thrown) {
    if (!(thrown instanceof CcwError)) throw thrown;
    if (thrown.code === "unavailable" && task.state.kind === "starting") {
      return { kind: "no engine", cause: thrown };
    }
    if (thrown.code === "unavailable") throw thrown;
    store.events.append(task.id, { kind: "limit_reached", reason: thrown.message, hint: thrown.hint });
    return undefined;
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
  { store, host, now }: RunContext,
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
  const began = now();
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
  const ms = now() - began;
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
  { store, doors, now }: RunContext,
): Promise<void> {
  if (!isActive(task.state)) return;
  const { sandboxId } = task.state;
  store.atomically(() => {
    const sandbox = store.sandboxes.get(sandboxId);
    store.sandboxes.update(sandboxId, { endedAt: now() });
    // The next sandbox's cursor begins behind these: what a person said meanwhile is heard here or never.
    const unheard = store.events.after(task.id, sandbox?.cursor ?? 0, 500);
    if (unheard.some(({ body }) => react(store, task.id, sandboxId, body) === "ended")) return;
    if (sandbox?.busyWith !== undefined) store.prompts.mark(sandbox.busyWith, "queued");
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
  { store, log, now }: RunContext,
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

/** Ends what a task's sandbox is made of. Never rejects. */
export async function removeSandbox(
  sandboxId: SandboxId,
  { store, engine, doors, log, now }: RunContext,
): Promise<void> {
  try {
    await doors.close(sandboxId);
    await engine.remove(sandboxId);
    store.sandboxes.update(sandboxId, { endedAt: now() });
  } catch (thrown) {
    // Left to the reaper, which looks for sandboxes without an active task.
    log.warn("a sandbox could not be removed", { sandboxId, reason: messageOf(thrown) });
  }
}
