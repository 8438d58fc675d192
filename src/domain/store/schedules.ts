import type { ScheduleId, TaskId } from "../ids.ts";
import type { RunCause, Schedule, ScheduleOutcome, ScheduleRun } from "../schedule.ts";

export interface ScheduleStore {
  /** `conflict` where the name is taken, in whatever case; so does `update`. */
  add(
    schedule: Pick<Schedule, "id" | "person" | "nextAt"> &
      Pick<Schedule, "name" | "time" | "task" | "missed" | "overlap" | "triggersPerHour">,
  ): void;
  get(id: ScheduleId): Schedule | undefined;
  /** By name. */
  list(): Schedule[];
  update(
    id: ScheduleId,
    change: {
      [Key in Exclude<keyof Schedule, "id" | "triggerSince" | "createdAt" | "updatedAt">]?:
        | Schedule[Key]
        | undefined;
    },
  ): void;
  /** With the record of its runs; the tasks that it made stay. */
  remove(id: ScheduleId): boolean;
  /** The SHA-256 of its trigger's token, hex; undefined ends the trigger. */
  setTrigger(id: ScheduleId, hash: string | undefined): void;
  triggerHash(id: ScheduleId): string | undefined;
  /** Those whose time has come, the longest overdue first. */
  due(now: number): Schedule[];
  /** When the next one behind `after` is due, of all. */
  nextDue(after: number): number | undefined;
  /** Writes a run down; false, and nothing is written, where there is one of that key. */
  claim(run: {
    scheduleId: ScheduleId;
    key: string;
    cause: RunCause;
    dueAt?: number;
    outcome: ScheduleOutcome;
  }): boolean;
  /** The run of that key from `since` (ms) on; an older one gives its key up. */
  runOf(id: ScheduleId, key: string, since: number): ScheduleRun | undefined;
  /** Newest first. */
  runs(id: ScheduleId, limit: number): ScheduleRun[];
  /** Runs of that cause between two times (ms). */
  count(id: ScheduleId, cause: RunCause, from: number, to: number): number;
  /** A task of this schedule that is queued or at work, or will go on by itself. */
  taskAtWork(id: ScheduleId): TaskId | undefined;
}
