import { isNoSpace } from "../domain/disk.ts";
import { CcwError, messageOf } from "../domain/errors.ts";
import { newId, type SandboxId, type TaskId } from "../domain/ids.ts";
import type { TaskRow } from "../domain/store/tasks.ts";
import { isActive } from "../domain/task.ts";
import { createFirstFetches, type FirstFetches } from "./first-fetches.ts";
import { passes } from "./not-now.ts";
import { putBack, putToSleep } from "./provide-sandbox.ts";
import type { RunContext } from "./run-context.ts";
import { runTask } from "./run-task.ts";
import { rest } from "./watch-sandbox.ts";

export interface Scheduler {
  /** Takes up what an earlier server process left running, then claims from the queue. Returns at once. */
  start(): void;
  /** Stops following; the sandboxes live on. */
  close(): Promise<void>;
  /** Why a queued task is not started though its turn may have come; empty where it only waits for its turn. */
  reasonFor: FirstFetches["reasonFor"];
}

export interface SchedulerOptions {
  /** Names this server process in leases. */
  owner: string;
  /** Sandboxes that are awake at once. */
  parallel: number;
  /** How long a sandbox that sleeps is kept. */
  keepMs?: number;
  leaseMs?: number;
  /** How long nothing is claimed after the engine was found to be down. */
  holdMs?: number;
  /** Until when the model answers nobody; undefined while it does. Nothing is claimed before. */
  modelAvailableAt?(): number | undefined;
}

/** A task whose run breaks off by a defect this often is failed, so that it cannot occupy a place for ever. */
const maxCrashes = 3;

export function createScheduler(context: RunContext, options: SchedulerOptions): Scheduler {
  const { store, engine, doors, log, ids } = context;
  const { owner, parallel, keepMs = 72 * 3_600_000, leaseMs = 30_000, holdMs = 10_000 } = options;
  const running = new Map<TaskId, Promise<void>>();
  const crashes = new Map<TaskId, number>();
  const stopped = new AbortController();
  /** By the monotonic clock: a wall clock that is set back must not hold the queue. */
  let holdUntil = 0;
  /** Tasks whose repositories cannot be had now, by the same clock: they wait, and nobody behind them does. */
  const held = new Map<TaskId, number>();

  const lease = () => ({ owner, until: ids.now() + leaseMs });

  const fetches = createFirstFetches(context, { holdMs });

  const leftOut = () => {
    for (const [id, until] of held) if (performance.now() >= until) held.delete(id);
    return { tasks: new Set(held.keys()), repositories: fetches.names() };
  };

  const claim = (id: TaskId) =>
    store.atomically(() => store.tasks.claim(lease(), newId("SandboxId", ids), parallel, id));

  const run = async (task: TaskRow): Promise<"over" | "broke off"> => {
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
      return "over";
    } catch (thrown) {
      const passing = isNoSpace(thrown) || (thrown instanceof CcwError && passes(thrown));
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
      return "broke off";
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
      await putToSleep(state.sandboxId, context);
    } catch (thrown) {
      log.error("a task could not be given up; trying again", { task: id, reason: messageOf(thrown) });
    }
  };

  const begin = (task: TaskRow) => {
    if (running.has(task.id) || stopped.signal.aborted) return;
    const done = run(task).then((result) => {
      running.delete(task.id);
      beginAgain(task, result);
      fill();
    });
    running.set(task.id, done);
  };

  /** A task that was woken and claimed while its sandbox was still on its way to sleep. */
  const beginAgain = ({ id }: TaskRow, result: "over" | "broke off") => {
    if (stopped.signal.aborted || result === "broke off") return;
    try {
      const task = store.tasks.get(id);
      if (task !== undefined && isActive(task.state)) begin(task);
    } catch (thrown) {
      // Its lease runs out, and it is taken up then.
      log.error("a task cannot be read; trying again", { task: id, reason: messageOf(thrown) });
    }
  };

  /** Where all places are taken and somebody could start. */
  const makeRoom = () => {
    const idle = store.tasks.longestIdle();
    if (idle !== undefined) rest(store, idle, "Its place is needed.");
  };

  const fill = () => {
    if (stopped.signal.aborted) return;
    try {
      fetches.endUnneeded();
      if (performance.now() < holdUntil || options.modelAvailableAt?.() !== undefined) return;
      for (let next = store.tasks.next(leftOut()); next !== undefined; next = store.tasks.next(leftOut())) {
        if (!fetches.areHere(next)) continue;
        const task = claim(next.id);
        if (task === undefined) return makeRoom();
        begin(task);
      }
    } catch (thrown) {
      log.error("the queue cannot be read; trying again", { reason: messageOf(thrown) });
      holdUntil = performance.now() + holdMs;
    }
  };

  const beat = () => {
    try {
      store.tasks.renew([...running.keys()], lease());
      for (const task of store.tasks.takeUp(lease(), false)) begin(task);
      for (const id of store.tasks.duePauses(ids.now())) store.tasks.reopen(id);
    } catch (thrown) {
      log.error("leases cannot be renewed; trying again", { reason: messageOf(thrown) });
    }
    fill();
  };

  /** Whether an active task works in this sandbox, it sleeps for one, or it is nobody's. */
  const placeOf = (id: SandboxId): "awake" | "asleep" | "nobody's" => {
    const record = store.sandboxes.get(id);
    if (record === undefined || record.endedAt !== undefined) return "nobody's";
    const state = store.tasks.stateOf(record.taskId);
    if (state !== undefined && isActive(state) && state.sandboxId === id) return "awake";
    return store.sandboxes.current(record.taskId)?.id === id ? "asleep" : "nobody's";
  };

  /** Ends what no task owns: of a crash between an end and its clean-up, and what has slept for long enough. */
  const reap = async () => {
    try {
      for (const { id, taskId } of store.sandboxes.asleepSince(ids.now() - keepMs)) {
        store.atomically(() => {
          store.sandboxes.update(id, { endedAt: ids.now() });
          const reason = `It had slept for ${keepMs / 3_600_000} h.`;
          store.events.append(taskId, { kind: "sandbox_removed", sandboxId: id, reason });
        });
      }
      const sandboxes = await engine.list();
      for (const { id, taskId, condition } of sandboxes) {
        if (stopped.signal.aborted || running.has(taskId)) continue;
        const place = placeOf(id);
        if (place === "asleep" && condition !== "stopped") await putToSleep(id, context);
        if (place !== "nobody's") continue;
        log.info("removing a left-over sandbox", { sandbox: id, task: taskId });
        await engine.remove(id);
        await doors.close(id);
      }
      const mayRun = new Set(sandboxes.flatMap(({ id, condition }) => (condition === "stopped" ? [] : [id])));
      for (const id of await doors.list()) {
        const taskId = store.sandboxes.get(id)?.taskId;
        if (mayRun.has(id) || (taskId !== undefined && running.has(taskId))) continue;
        if (placeOf(id) !== "awake" && !stopped.signal.aborted) await doors.close(id);
      }
    } catch (thrown) {
      log.warn("left-over sandboxes cannot be looked for", { reason: messageOf(thrown) });
    }
  };

  const timers: Timer[] = [];
  let off = () => {};

  return {
    start() {
      for (const task of store.tasks.takeUp(lease(), true)) begin(task);
      off = store.wakes.on("tasks", fill);
      timers.push(
        setInterval(beat, leaseMs / 3),
        setInterval(() => void reap(), 60_000),
      );
      fill();
      // An engine that does not answer holds nobody up.
      void reap();
    },
    async close() {
      stopped.abort();
      off();
      for (const timer of timers) clearInterval(timer);
      await Promise.all([...running.values(), fetches.close()]);
    },
    reasonFor: fetches.reasonFor,
  };
}
