import type { SandboxId } from "../domain/ids.ts";
import type { TaskRow } from "../domain/store/tasks.ts";
import { isActive } from "../domain/task.ts";
import { follow } from "./follow.ts";
import { provideSandbox, putToSleep } from "./provide-sandbox.ts";
import { react } from "./react.ts";
import type { RunContext, RunResult } from "./run-context.ts";
import { watchPatience, watchSandbox, watchTime } from "./watch-sandbox.ts";

/**
 * A task's life, from the moment it is claimed. Whatever happens to it — in the sandbox, by a person, by a limit —
 * stands in its events; this follows them by a stored cursor and acts on each once. So it can be begun again at any
 * point, by another server process, and goes on where it was.
 */
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
