import type { GuestEvent } from "../domain/event.ts";
import type { TaskId } from "../domain/ids.ts";
import type { Store } from "../domain/store.ts";
import type { TaskState } from "../domain/task.ts";

const firstWaitMs = 60_000;
const longestWaitMs = 6 * 3_600_000;

/** What an idle task is once its sandbox sleeps. */
export function restOf({ summary, interrupted }: Extract<TaskState, { kind: "idle" }>): TaskState {
  if (!interrupted) return { kind: "completed", summary };
  const hint = "Give it another prompt, or let it go on with what waits.";
  return { kind: "paused", why: "interrupted", reason: summary, hint };
}

/**
 * The state of a task that met a full disk: its sandbox sleeps with all of its work, and is woken to try again after a
 * minute, and then after as long again as it has tried, counted from the last turn or prompt.
 */
export function waitForRoom(
  store: Store,
  taskId: TaskId,
  { text, hint }: Extract<GuestEvent, { kind: "finished" }>,
  now: number,
): TaskState {
  const lastOf = (kind: "turn_ended" | "prompt") => store.events.last(taskId, kind)?.at ?? 0;
  const triedMs = now - Math.max(lastOf("turn_ended"), lastOf("prompt"));
  const until = now + Math.min(longestWaitMs, Math.max(firstWaitMs, triedMs));
  return { kind: "paused", why: "no_space", reason: text, hint, until };
}
