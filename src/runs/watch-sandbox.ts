import { messageOf } from "../domain/errors.ts";
import type { SandboxId, TaskId } from "../domain/ids.ts";
import { pause } from "../domain/pause.ts";
import type { Log } from "../domain/ports.ts";
import type { TaskRow } from "../domain/store/tasks.ts";
import type { Store } from "../domain/store.ts";
import { openQuestions } from "./questions.ts";
import { restOf } from "./rest-states.ts";
import type { RunContext } from "./run-context.ts";

/** What ends a turn, a rest or a sandbox without anybody's word: its death, and time. */

/** Writes down the sandbox's end, however it came. */
export async function watchSandbox(
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

/**
 * Ends a sandbox's work when its time is over. Its time is what a server has watched it for, by a clock that is never set:
 * while none does, its agent has no way to the model.
 */
export async function watchTime(
  task: TaskRow,
  sandboxId: SandboxId,
  { store, log }: RunContext,
  signal: AbortSignal,
): Promise<void> {
  const limitMs = store.tasks.environmentOf(task.id).limits.minutes * 60_000;
  await persist(log, sandboxId, signal, async () => {
    for (;;) {
      const awakeMs = store.sandboxes.get(sandboxId)?.awakeMs ?? 0;
      if (signal.aborted || awakeMs >= limitMs) return;
      const since = performance.now();
      await pause(Math.min(limitMs - awakeMs, noteEveryMs), signal);
      store.sandboxes.update(sandboxId, { awakeMs: awakeMs + Math.ceil(performance.now() - since) });
    }
  });
  await persist(log, sandboxId, signal, () =>
    store.events.append(task.id, {
      kind: "limit_reached",
      reason: `The task ran for ${limitMs / 60_000} min, which is the limit of its environment.`,
      hint: `Raise limits.minutes of the environment ${task.environment}, or hand over a smaller task.`,
    }),
  );
}

/**
 * How often its time is written down: no more than that is forgotten with a server that dies. Not more often, since each
 * write waits where another program holds the database.
 */
const noteEveryMs = 60_000;

/**
 * Puts the sandbox to sleep when its task has been idle for long enough, and answers for a person who does not. Times are
 * counted from when this process saw the state first, by a clock that does not jump.
 */
export async function watchPatience(
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
