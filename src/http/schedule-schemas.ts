import { z } from "@hono/zod-openapi";
import {
  runCauses,
  type Schedule,
  type ScheduleRun,
  scheduledTaskSchema,
  scheduleTimeSchema,
  timesAhead,
} from "../domain/schedule.ts";
import type { Store } from "../domain/store.ts";
import { taskStateKinds } from "../domain/task.ts";
import { attachmentSchema } from "./task-schemas.ts";

/** JSON of schedules as it goes over the wire. Times are milliseconds since the epoch. */

export const scheduleSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    person: z.string().describe("In whose name it submits: whoever made it, or changed last what it submits"),
    time: scheduleTimeSchema,
    task: scheduledTaskSchema,
    attachments: z.array(attachmentSchema).describe("The files of its task, of which each run gets copies"),
    missed: z.enum(["skip", "run"]),
    overlap: z.enum(["skip", "allow"]),
    triggersPerHour: z.number().int(),
    enabled: z.boolean(),
    next: z.array(z.number()).describe("The next times, none while it is paused"),
    failures: z.number().int().describe("Submissions that failed, in a row"),
    lastError: z.string(),
    trigger: z.object({ url: z.string(), since: z.number() }).optional(),
    createdAt: z.number(),
    updatedAt: z.number(),
  })
  .openapi("Schedule");
export type ScheduleJson = z.infer<typeof scheduleSchema>;

export const scheduleRunSchema = z
  .object({
    cause: z.enum(runCauses),
    dueAt: z.number().optional(),
    at: z.number(),
    kind: z.enum(["task", "skipped", "failed"]),
    /** Why none was made; empty where one was. */
    reason: z.string(),
    /** Its title and state are left out where it was deleted since. */
    task: z
      .object({ id: z.string(), title: z.string().optional(), state: z.enum(taskStateKinds).optional() })
      .optional(),
  })
  .openapi("ScheduleRun");
export type ScheduleRunJson = z.infer<typeof scheduleRunSchema>;

const shownTimes = 5;

export function scheduleJson(
  store: Pick<Store, "attachments">,
  schedule: Schedule,
  now: number,
  publicUrl: string,
): ScheduleJson {
  const { person, nextAt, triggerSince, ...rest } = schedule;
  // What is due already stands first, as long as it is not carried out.
  const after = nextAt === undefined ? now : Math.min(now, nextAt - 1);
  return {
    ...rest,
    person: person.name,
    attachments: store.attachments.ofSchedule(schedule.id),
    next: nextAt === undefined ? [] : timesAhead(schedule.time, after, shownTimes),
    ...(triggerSince !== undefined && {
      trigger: { url: triggerUrl(publicUrl, schedule.id), since: triggerSince },
    }),
  };
}

export function scheduleRunJson(store: Store, { cause, dueAt, at, outcome }: ScheduleRun): ScheduleRunJson {
  const task = outcome.kind === "task" ? store.tasks.get(outcome.taskId) : undefined;
  return {
    ...{ cause, at, kind: outcome.kind, reason: outcome.kind === "task" ? "" : outcome.reason },
    ...(dueAt !== undefined && { dueAt }),
    ...(outcome.kind === "task" && {
      task: { id: outcome.taskId, ...(task !== undefined && { title: task.title, state: task.state.kind }) },
    }),
  };
}

export const triggerUrl = (publicUrl: string, id: string): string => `${publicUrl}/triggers/${id}`;
