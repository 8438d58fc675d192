import { CcwError, messageOf } from "../domain/errors.ts";
import { type IdSource, newId, type PromptId, type SandboxId, type TaskId } from "../domain/ids.ts";
import type { TaskRow } from "../domain/store/tasks.ts";
import type { Store } from "../domain/store.ts";
import { isActive } from "../domain/task.ts";
import { passes, tellThatItWaits } from "./not-now.ts";
import { react } from "./react.ts";
import type { NotNow, RunContext } from "./run-context.ts";
import { giveBack, sendNextPrompt } from "./turns.ts";

/** From here on the bringing up to date of mirrors is worth a line in the transcript. */
const noticeableMs = 1000;

/**
 * Opens the door and has the sandbox running: made anew, started again where it was stopped or has died, or built again
 * from the last snapshot under another id where its container is gone. Returns its id, or what stands in the way for now;
 * what is expected to fail for good ends the task through its events.
 */
export async function provideSandbox(
  task: TaskRow,
  sandboxId: SandboxId,
  context: RunContext,
  signal: AbortSignal,
): Promise<SandboxId | NotNow> {
  const { store, engine, doors } = context;
  try {
    const doorFolder = await doors.open(sandboxId, task.id);
    const record = store.sandboxes.get(sandboxId);
    const said = store.events.last(task.id, "sandbox_started")?.body;
    const wasStarted = said?.kind === "sandbox_started" && said.sandboxId === sandboxId;
    // The prompt is handed out before the sandbox is started: without that, there is none to look for.
    const isNew = !wasStarted && record?.acked === 0 && record.busyWith === undefined;
    const found = isNew ? undefined : (await engine.list()).find((sandbox) => sandbox.id === sandboxId);
    if (found === undefined && (record?.acked ?? 0) > 0) {
      await doors.close(sandboxId);
      const next = replaceSandbox(task, sandboxId, context);
      return next === undefined ? sandboxId : await provideSandbox(task, next, context, signal);
    }
    if (found?.condition !== "running") {
      store.atomically(() => {
        const hasWork = sendNextPrompt(store, task.id, sandboxId);
        // Woken for nothing but to hand its work over, it would say nothing by itself.
        if (!hasWork && found !== undefined) store.sandboxes.appendCommand(sandboxId, { kind: "finish" });
      });
    }
    if (found === undefined) {
      const made = await makeSandbox(task, sandboxId, doorFolder, context, signal);
      if (made !== undefined) return made.kind === "none" ? sandboxId : made;
    } else if (found.condition !== "running") {
      await engine.restart(sandboxId).catch((thrown: unknown) => {
        // Removed since it was listed: whoever watches over it finds that, and it is built again.
        if (!(thrown instanceof CcwError && thrown.code === "not_found")) throw thrown;
      });
    }
    if (!wasStarted) {
      const { image } = store.tasks.environmentOf(task.id);
      store.events.append(task.id, {
        ...{ kind: "sandbox_started", sandboxId },
        ...{
          engine: await engine.describe(),
          image: await engine.resolveImage(imageOf(task, image, context)),
        },
      });
    }
    return sandboxId;
  } catch (thrown) {
    if (!(thrown instanceof CcwError)) throw thrown;
    if (passes(thrown) && store.tasks.stateOf(task.id)?.kind === "starting")
      return { kind: "no engine", cause: thrown };
    if (passes(thrown)) throw thrown;
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
  const image = await engine.resolveImage(imageOf(task, wanted, context));
  const borrowed = await borrowing;
  if (borrowed !== undefined) return borrowed;
  const { objectFolders } = store.sandboxes.get(sandboxId) ?? { objectFolders: [] };
  await engine.start({ id: sandboxId, taskId: task.id, image, limits, doorFolder, objectFolders });
  return undefined;
}

const imageOf = ({ agent }: TaskRow, image: string, { agents }: RunContext): string =>
  agents.named(agent)?.imageFor(image) ?? image;

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
      if (store.prompts.get(id)?.state === "sent") giveBack(store, task.id, id);
      // What was being worked on when a person stopped the task stays undone.
      else if (!wasStopped(store, task.id, id)) store.prompts.mark(id, "queued");
    }
    store.sandboxes.update(lost, { endedAt: ids.now() });
    store.sandboxes.create(sandboxId, task.id);
    const reason = "Its container is gone.";
    store.events.append(task.id, { kind: "sandbox_removed", sandboxId: lost, reason });
    store.tasks.move(task.id, { kind: "starting", sandboxId });
    return sandboxId;
  });
}

/** By the order of the events, since clocks are set. */
function wasStopped(store: Store, taskId: TaskId, id: PromptId): boolean {
  const stopped = store.events.last(taskId, "cancel_requested")?.seq ?? 0;
  return store.events
    .ofKinds(taskId, ["prompt"])
    .some(({ seq, body }) => body.kind === "prompt" && body.promptId === id && seq < stopped);
}

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
    // It has begun to run, as was heard just now, and is brought back like any other that runs.
    if (store.tasks.stateOf(task.id)?.kind !== "starting") return;
    const sandbox = store.sandboxes.get(sandboxId);
    // One that has run is tried again, with what it was given to do.
    if (sandbox?.acked === 0) {
      store.sandboxes.update(sandboxId, { endedAt: ids.now() });
      if (sandbox.busyWith !== undefined) giveBack(store, task.id, sandbox.busyWith);
    }
    tellThatItWaits(store, task.id, cause);
    store.tasks.move(task.id, { kind: "queued" });
  });
  // A container that lives after all has no other way to this door than the one that it was started with.
  if (store.sandboxes.get(sandboxId)?.endedAt !== undefined) await doors.close(sandboxId);
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
