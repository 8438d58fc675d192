import { setImmediate as nextTurn } from "node:timers/promises";
import type { TaskEvent } from "../domain/event.ts";
import type { TaskId } from "../domain/ids.ts";
import type { WakeTopic } from "../domain/store/wakes.ts";
import type { Store } from "../domain/store.ts";

const batchSize = 500;

/**
 * A task's events above `seq`, in order, as they come: batches of 1 to 500, for ever, until the signal aborts.
 * It reads the database by cursor; a slow reader costs nobody anything.
 */
export async function* follow(
  store: Store,
  taskId: TaskId,
  seq: number,
  signal: AbortSignal,
): AsyncGenerator<TaskEvent[]> {
  let cursor = seq;
  for await (const _ of wakeUps(store, taskId, signal)) {
    for (;;) {
      const batch = store.events.after(taskId, cursor, batchSize);
      const last = batch.at(-1);
      if (last === undefined || signal.aborted) break;
      cursor = last.seq;
      yield batch;
      // However far behind the cursor is, others take their turn in between.
      await nextTurn();
    }
  }
}

/**
 * Yields at once, and then once or more after every wake-up of the topic, until the signal aborts. Wake-ups that
 * come while the consumer works are folded into one.
 */
export async function* wakeUps(store: Store, topic: WakeTopic, signal: AbortSignal): AsyncGenerator<void> {
  let due = true;
  let proceed: () => void = () => {};
  const ring = () => {
    due = true;
    proceed();
  };
  const off = store.wakes.on(topic, ring);
  signal.addEventListener("abort", ring);
  try {
    while (!signal.aborted) {
      if (!due) await new Promise<void>((resolve) => (proceed = resolve));
      due = false;
      if (!signal.aborted) yield;
    }
  } finally {
    off();
    signal.removeEventListener("abort", ring);
  }
}
