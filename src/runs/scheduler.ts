import { CcwError, messageOf } from "../domain/errors.ts";
import { type IdSource, newId, type SandboxId, type TaskId } from "../domain/ids.ts";
import type { TaskRow } from "../domain/store.ts";
import { isActive } from "../domain/task.ts";
import { putBack, type RunContext, removeSandbox, runTask } from "./run-task.ts";

export interface Scheduler {
  /** Takes up what an earlier server process left running, then claims from the queue. Returns at once. */
  start(): Promise<void>;
  /** Stops following; the sandboxes live on. */
  close(): Promise<void>;
}

export interface SchedulerOptions {
  ids: IdSource;
  /** Names this server process in leases. */
  owner: string;
  /** Tasks that run at once. */
  parallel: number;
  leaseMs?: number;
  /** How long nothing is claimed after the engine was found to be down. */
  holdMs?: number;
}

/** A task whose run breaks off by a defect this often is failed, so that it cannot occupy a place for ever. */
const maxCrashes = 3;

export function createScheduler(context: RunContext, options: SchedulerOptions): Scheduler {
  const { store, engine, doors, log } = context;
  const { ids, owner, parallel, leaseMs = 30_000, holdMs = 10_000 } = options;
  const running = new Map<TaskId, Promise<void>>();
  const crashes = new Map<TaskId, number>();
  const stopped = new AbortController();
  /** By the monotonic clock: a wall clock that is set back must not hold the queue. */
  let holdUntil = 0;
  /** Tasks whose repositories cannot be had now, by the same clock: they wait, and nobody behind them does. */
  const held = new Map<TaskId, number>();

  const lease = () => ({ owner, until: ids.now() + leaseMs });

  const claimNext = () =>
    store.atomically(() => {
      for (const [id, until] of held) if (performance.now() >= until) held.delete(id);
      const task = store.tasks.claim(lease(), newId("SandboxId", ids), parallel, new Set(held.keys()));
      if (task !== undefined && isActive(task.state)) store.sandboxes.create(task.state.sandboxId, task.id);
      return task;
    });

  const run = async (task: TaskRow): Promise<void> => {
    try {
      const result = await runTask(task, context, stopped.signal);
      if (result.kind === "no engine") {
        // Held before the task is back in the queue, which wakes us.
        holdUntil = performance.now() + holdMs;
        await putBack(task, result.cause, context);
      }
      if (result.kind === "no repository") {
        held.set(task.id, performance.now() + holdMs);
        await putBack(task, result.cause, context);
      }
      crashes.delete(task.id);
    } catch (thrown) {
      const passing =
        thrown instanceof CcwError && (thrown.code === "unavailable" || thrown.code === "no_space");
      const count = (crashes.get(task.id) ?? 0) + (passing ? 0 : 1);
      crashes.set(task.id, count);
      log.error("a run broke off", {
        task: task.id,
        count,
        reason: messageOf(thrown),
        stack: thrown instanceof Error ? thrown.stack : "",
      });
      if (count >= maxCrashes) await giveUp(task.id);
      // Otherwise its lease runs out, and it is taken up again.
    }
  };

  /** Not by an event: whatever the run breaks off at stands before it. */
  const giveUp = async (id: TaskId) => {
    try {
      const state = store.tasks.get(id)?.state;
      if (state === undefined || !isActive(state)) return;
      store.tasks.move(id, {
        kind: "failed",
        reason: `The appliance could not follow this task: it broke off ${maxCrashes} times.`,
        hint: "Look at the server's log, which says why, then submit the task again.",
      });
      crashes.delete(id);
      await removeSandbox(state.sandboxId, context);
    } catch (thrown) {
      log.error("a task could not be given up; trying again", { task: id, reason: messageOf(thrown) });
    }
  };

  const begin = (task: TaskRow) => {
    if (running.has(task.id) || stopped.signal.aborted) return;
    const done = run(task).finally(() => {
      running.delete(task.id);
      beginAgain(task);
      fill();
    });
    running.set(task.id, done);
  };

  /** A task that was reopened and claimed while the sandbox of its last run was still being removed. */
  const beginAgain = ({ id, state: before }: TaskRow) => {
    if (stopped.signal.aborted) return;
    try {
      const task = store.tasks.get(id);
      if (task === undefined || !isActive(task.state) || !isActive(before)) return;
      if (task.state.sandboxId !== before.sandboxId) begin(task);
    } catch (thrown) {
      // Its lease runs out, and it is taken up then.
      log.error("a task cannot be read; trying again", { task: id, reason: messageOf(thrown) });
    }
  };

  const fill = () => {
    if (stopped.signal.aborted || performance.now() < holdUntil) return;
    try {
      for (let task = claimNext(); task !== undefined; task = claimNext()) begin(task);
    } catch (thrown) {
      log.error("the queue cannot be read; trying again", { reason: messageOf(thrown) });
      holdUntil = performance.now() + holdMs;
    }
  };

  const beat = () => {
    try {
      store.tasks.renew([...running.keys()], lease());
      for (const task of store.tasks.takeUp(lease(), false)) begin(task);
    } catch (thrown) {
      log.error("leases cannot be renewed; trying again", { reason: messageOf(thrown) });
    }
    fill();
  };

  /** Whether an active task works in this sandbox. */
  const owned = (id: SandboxId) => {
    const taskId = store.sandboxes.get(id)?.taskId;
    const state = taskId && store.tasks.get(taskId)?.state;
    return state !== undefined && isActive(state) && state.sandboxId === id;
  };

  /** Removes sandboxes and doors that no active task owns: of a crash between an end and its clean-up. */
  const reap = async () => {
    try {
      for (const id of await doors.list()) {
        if (!owned(id) && !stopped.signal.aborted) await doors.close(id);
      }
      for (const { id, taskId } of await engine.list()) {
        if (owned(id) || stopped.signal.aborted) continue;
        log.info("removing a left-over sandbox", { sandbox: id, task: taskId });
        await engine.remove(id);
      }
    } catch (thrown) {
      log.warn("left-over sandboxes cannot be looked for", { reason: messageOf(thrown) });
    }
  };

  const timers: Timer[] = [];
  let off = () => {};

  return {
    async start() {
      for (const task of store.tasks.takeUp(lease(), true)) begin(task);
      off = store.wakes.on("tasks", fill);
      timers.push(
        setInterval(beat, leaseMs / 3),
        setInterval(() => void reap(), 60_000),
      );
      fill();
      await reap();
    },
    async close() {
      stopped.abort();
      off();
      for (const timer of timers) clearInterval(timer);
      await Promise.all(running.values());
    },
  };
}
