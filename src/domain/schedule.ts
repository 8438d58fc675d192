import { z } from "zod";
import { checkZone, nextTimes } from "./cron.ts";
import { CcwError } from "./errors.ts";
import type { ScheduleId, TaskId } from "./ids.ts";
import type { Person } from "./store/people.ts";
import { maxPromptBytes, newTaskSchema } from "./task.ts";

/** When a schedule is due. `never`: it is started by its trigger, or by a person. */
export const scheduleTimeSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("cron"), expression: z.string(), zone: z.string() }),
  /** Milliseconds since the epoch. */
  z.object({ kind: z.literal("once"), at: z.number().int().min(0).max(8.64e15) }),
  z.object({ kind: z.literal("never") }),
]);
export type ScheduleTime = z.infer<typeof scheduleTimeSchema>;

/** What comes with a request to a trigger. */
export const maxPayloadBytes = 64 * 1024;

/** Room for a trigger's payload and the words around it, which become part of the prompt. */
const maxScheduledPrompt = maxPromptBytes - 2 * maxPayloadBytes;

/** A task as it is submitted each time. Its attachments are the schedule's; each run gets copies of them. */
export const scheduledTaskSchema = newTaskSchema.extend({
  prompt: newTaskSchema.shape.prompt.refine(
    (text) => Buffer.byteLength(text) <= maxScheduledPrompt,
    `The prompt of a schedule takes at most ${maxScheduledPrompt / 1024} KiB.`,
  ),
});

const scheduleNameSchema = z
  .string()
  .regex(
    /^[\p{L}\p{N}][\p{L}\p{N} ._-]{0,63}$/u,
    "A schedule's name has up to 64 letters, digits, spaces and . _ -, and begins with a letter or digit.",
  );

export const newScheduleSchema = z.object({
  name: scheduleNameSchema,
  time: scheduleTimeSchema,
  task: scheduledTaskSchema,
  /** Of times that passed while the appliance was away: none is made up for, or one for all of them. */
  missed: z.enum(["skip", "run"]).default("skip"),
  /** Whether a time is skipped while a task of this schedule is still at work. */
  overlap: z.enum(["skip", "allow"]).default("skip"),
  /** Tasks that its trigger may start within an hour. */
  triggersPerHour: z.number().int().min(1).max(10_000).default(60),
});
export type NewSchedule = z.infer<typeof newScheduleSchema>;

export const scheduleChangeSchema = z
  .object({ ...newScheduleSchema.shape, enabled: z.boolean() })
  .partial()
  // A default would be a change that nobody asked for.
  .extend({
    missed: z.enum(["skip", "run"]).optional(),
    overlap: z.enum(["skip", "allow"]).optional(),
    triggersPerHour: z.number().int().min(1).max(10_000).optional(),
  });
export type ScheduleChange = z.infer<typeof scheduleChangeSchema>;

export interface Schedule extends NewSchedule {
  id: ScheduleId;
  /** In whose name it submits. */
  person: Person;
  enabled: boolean;
  /** When it is due next (ms); undefined where no time is to come, or it is not enabled. */
  nextAt: number | undefined;
  /** Submissions that failed, in a row. */
  failures: number;
  /** Why the last one failed; empty where it did not. */
  lastError: string;
  /** Whether there is a trigger, and since when (ms) its token is good. */
  triggerSince: number | undefined;
  createdAt: number;
  updatedAt: number;
}

/** What came of one time, one request to the trigger, or one person's word. */
export type ScheduleOutcome =
  | { kind: "task"; taskId: TaskId }
  | { kind: "skipped"; reason: string }
  | { kind: "failed"; reason: string };

export const runCauses = ["time", "trigger", "person"] as const;
export type RunCause = (typeof runCauses)[number];

export interface ScheduleRun {
  scheduleId: ScheduleId;
  cause: RunCause;
  /** When it was due, where a time caused it. */
  dueAt: number | undefined;
  at: number;
  outcome: ScheduleOutcome;
}

/** So many submissions that fail in a row pause a schedule: it would fail for ever, and nobody would look. */
export const maxFailures = 5;

/** A time that is over by more than this was missed. It covers a restart of the appliance, and of its machine. */
export const missedAfterMs = 5 * 60 * 1000;

/** The first time behind `after`, or undefined. */
export function nextTime(time: ScheduleTime, after: number): number | undefined {
  switch (time.kind) {
    case "cron":
      return nextTimes(time.expression, time.zone, after, 1)[0];
    case "once":
      return time.at > after ? time.at : undefined;
    case "never":
      return undefined;
  }
}

/** Up to `count` times behind `after`, for people to look at. */
export function timesAhead(time: ScheduleTime, after: number, count: number): number[] {
  if (time.kind === "cron") return nextTimes(time.expression, time.zone, after, count);
  const at = nextTime(time, after);
  return at === undefined ? [] : [at];
}

/** Throws `invalid` for a time that cannot be, or never comes. */
export function checkTime(time: ScheduleTime, now: number): void {
  if (time.kind === "cron") checkZone(time.zone);
  if (time.kind !== "never" && nextTime(time, now) === undefined) {
    throw new CcwError(
      "invalid",
      time.kind === "once"
        ? "That time has passed already."
        : `${JSON.stringify(time.expression)} names a time that never comes.`,
      "Choose one that lies ahead.",
    );
  }
}

/** What a schedule that is due at `dueAt` does at `now`, before anything else is looked at. */
export function judgeDue(
  { missed }: Pick<Schedule, "missed">,
  dueAt: number,
  now: number,
): { kind: "run" } | { kind: "skip"; reason: string } {
  const late = now - dueAt;
  if (late <= missedAfterMs || missed === "run") return { kind: "run" };
  return {
    kind: "skip",
    reason: `Missed: the appliance was away, or its clock was set ahead, and it is over by ${Math.round(late / 60_000)} min.`,
  };
}
