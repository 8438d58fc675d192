import { CcwError, messageOf } from "../domain/errors.ts";
import type { ScheduleId } from "../domain/ids.ts";
import { pause } from "../domain/pause.ts";
import type { Log } from "../domain/ports.ts";
import { judgeDue, nextTime, type Schedule } from "../domain/schedule.ts";
import { AlreadyRun, recordFailure, submitScheduled } from "./schedules.ts";
import type { SubmitContext } from "./submit.ts";

/** Carries schedules out as their times come. */
export interface ScheduleClock {
  start(): void;
  close(): Promise<void>;
}

/** Submissions at once: each may ask a forge for its branches. */
const maxAtOnce = 4;
/** So long a forge or an engine that is away is asked again; then the run has failed. */
const patienceMs = 30 * 60 * 1000;
const longestRestMs = 5 * 60 * 1000;

interface Rest {
  dueAt: number;
  tries: number;
  /** By the monotonic clock. */
  until: number;
}

/**
 * The time stands in the schedule's row, and a run is written down together with its task: a server that dies leaves
 * it to the next one, and nothing runs twice. The wall clock is looked at anew every `tickMs`, since it may jump. Set
 * ahead, what was leapt over is late or missed; set back, the times that come again are looked for again, and those
 * that were run are known by their record.
 */
export function createScheduleClock(
  context: SubmitContext & { log: Log },
  { tickMs = 30_000 }: { tickMs?: number } = {},
): ScheduleClock {
  const { store, ids, log } = context;
  const stopped = new AbortController();
  const running = new Map<ScheduleId, Promise<void>>();
  const rests = new Map<ScheduleId, Rest>();
  let ring = () => {};
  let following: Promise<void> | undefined;

  /** Where the clock was ahead before, the times that were computed by it are too late. */
  function lookAgain(): void {
    const now = ids.now();
    for (const { id, time, enabled, nextAt } of store.schedules.list()) {
      const next = enabled && nextAt !== undefined && time.kind === "cron" ? nextTime(time, now) : undefined;
      if (next !== undefined && nextAt !== undefined && next < nextAt)
        store.schedules.update(id, { nextAt: next });
    }
  }

  async function run(schedule: Schedule, dueAt: number): Promise<void> {
    const { id } = schedule;
    const key = `at:${dueAt}`;
    const now = ids.now();
    const rest = rests.get(id)?.dueAt === dueAt ? rests.get(id) : undefined;
    const isStillDue = () => {
      const current = store.schedules.get(id);
      return current?.nextAt === dueAt && current.updatedAt === schedule.updatedAt;
    };
    const goOn = () => store.schedules.update(id, { nextAt: nextTime(schedule.time, Math.max(now, dueAt)) });
    const settle = (work: () => void) => {
      rests.delete(id);
      store.atomically(() => {
        if (!isStillDue()) return;
        goOn();
        work();
      });
    };

    // One that was tried in time, and waits for a forge to come back, is not missed.
    const verdict = rest === undefined ? judgeDue(schedule, dueAt, now) : ({ kind: "run" } as const);
    const atWork = schedule.overlap === "skip" ? store.schedules.taskAtWork(id) : undefined;
    const skip = (reason: string, as: string) =>
      settle(() => {
        const outcome = { kind: "skipped", reason } as const;
        store.schedules.claim({ scheduleId: id, key: as, cause: "time", dueAt, outcome });
      });
    // Its own key stays free: a clock that was set ahead by mistake may come by that time again.
    if (verdict.kind === "skip") return skip(verdict.reason, `missed:${now}`);
    if (atWork !== undefined) return skip(`The task ${atWork} was still at work.`, key);
    try {
      await submitScheduled(context, schedule, { key, cause: "time", dueAt }, () => {
        if (!isStillDue()) throw new CcwError("conflict", "The schedule was changed at this moment.");
        goOn();
      });
      rests.delete(id);
    } catch (thrown) {
      if (thrown instanceof AlreadyRun) return settle(() => {});
      if (!isStillDue()) return;
      log.warn("a schedule's task could not be submitted", { schedule: id, reason: messageOf(thrown) });
      const tries = (rest?.tries ?? 0) + 1;
      if (isPassing(thrown) && now - dueAt < patienceMs) {
        rests.set(id, { dueAt, tries, until: performance.now() + restMs(tries) });
        return store.schedules.update(id, { lastError: `${messageOf(thrown)} It is tried again.` });
      }
      settle(() => recordFailure(store, id, { key, cause: "time", dueAt }, asFailure(thrown)));
    }
  }

  const restMs = (tries: number) => Math.min(longestRestMs, tickMs * 2 ** (tries - 1));

  function begin(schedule: Schedule): void {
    const { id, nextAt: dueAt } = schedule;
    if (dueAt === undefined) return;
    const done = run(schedule, dueAt)
      .catch((thrown: unknown) => {
        // The database takes nothing, say. Not at once again.
        log.error("a schedule could not be carried out; trying again", {
          schedule: id,
          reason: messageOf(thrown),
        });
        rests.set(id, { dueAt, tries: 1, until: performance.now() + restMs(1) });
      })
      .finally(() => {
        running.delete(id);
        ring();
      });
    running.set(id, done);
  }

  async function follow(): Promise<void> {
    let before: { wall: number; steady: number } | undefined;
    while (!stopped.signal.aborted) {
      const rung = Promise.withResolvers<void>();
      ring = rung.resolve;
      try {
        const wall = ids.now();
        const steady = performance.now();
        const setBack = before !== undefined && wall - before.wall < steady - before.steady - 1000;
        if (before === undefined || setBack) lookAgain();
        before = { wall, steady };
        for (const schedule of store.schedules.due(wall)) {
          const resting = (rests.get(schedule.id)?.until ?? 0) > steady;
          if (!resting && !running.has(schedule.id) && running.size < maxAtOnce) begin(schedule);
        }
        const next = store.schedules.nextDue(wall) ?? Number.POSITIVE_INFINITY;
        const waited = new AbortController();
        void rung.promise.then(() => waited.abort());
        await pause(Math.min(next - wall, tickMs), AbortSignal.any([stopped.signal, waited.signal]));
      } catch (thrown) {
        log.error("schedules cannot be read; trying again", { reason: messageOf(thrown) });
        await pause(tickMs, stopped.signal);
      }
    }
  }

  let off = () => {};
  return {
    start() {
      off = store.wakes.on("schedules", () => ring());
      following = follow();
    },
    async close() {
      stopped.abort();
      off();
      await following;
      await Promise.all(running.values());
    },
  };
}

function isPassing(thrown: unknown): boolean {
  return thrown instanceof CcwError && ["unavailable", "rate_limited", "no_space"].includes(thrown.code);
}

function asFailure(thrown: unknown): CcwError {
  if (thrown instanceof CcwError) return thrown;
  return new CcwError("invalid", "The task could not be submitted.", "The server's log says why.");
}
