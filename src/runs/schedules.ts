import { CcwError } from "../domain/errors.ts";
import { isId, newId, type ScheduleId } from "../domain/ids.ts";
import { pausedNotice } from "../domain/notice.ts";
import {
  checkTime,
  maxFailures,
  type NewSchedule,
  nextTime,
  type RunCause,
  type Schedule,
  type ScheduleChange,
  scheduledTaskSchema,
} from "../domain/schedule.ts";
import type { Person } from "../domain/store/people.ts";
import type { TaskRow } from "../domain/store/tasks.ts";
import type { Store } from "../domain/store.ts";
import { attachmentIdOf, checkNames, prepareTask, type SubmitContext } from "./submit.ts";

/** More than a team has, and few enough for one list. */
const maxSchedules = 1000;

/** What a person does with schedules. Times that have come are carried out by `schedule-clock`. */

export function addSchedule(context: SubmitContext, person: Person, input: NewSchedule): Schedule {
  const { store, ids } = context;
  const now = ids.now();
  checkTime(input.time, now);
  checkNames(context, input.task);
  return store.atomically(() => {
    if (store.schedules.list().length >= maxSchedules)
      throw new CcwError("conflict", `There are ${maxSchedules} schedules already.`, "Remove one.");
    const id = newId("ScheduleId", ids);
    store.schedules.add({ ...input, id, person, nextAt: nextTime(input.time, now) });
    keepFiles(store, id, person, input.task.attachments);
    return existingSchedule(store, id);
  });
}

/** Whoever changes what it submits is the person in whose name it is submitted from then on. */
export function changeSchedule(
  context: SubmitContext,
  id: ScheduleId,
  person: Person,
  change: ScheduleChange,
): Schedule {
  const { store, ids } = context;
  const now = ids.now();
  if (change.time !== undefined) checkTime(change.time, now);
  if (change.task !== undefined) checkNames(context, change.task);
  return store.atomically(() => {
    const before = existingSchedule(store, id);
    const enabled = change.enabled ?? before.enabled;
    const moved = change.time !== undefined || enabled !== before.enabled;
    store.schedules.update(id, {
      ...change,
      ...(moved && { nextAt: enabled ? nextTime(change.time ?? before.time, now) : undefined }),
      ...(change.task !== undefined && { person }),
      // What failed may be mended by it.
      ...((change.task !== undefined || (enabled && !before.enabled)) && { failures: 0, lastError: "" }),
    });
    if (change.task !== undefined) keepFiles(store, id, person, change.task.attachments);
    return existingSchedule(store, id);
  });
}

/** Starts its task at once, for a person. */
export async function runSchedule(context: SubmitContext, id: ScheduleId): Promise<TaskRow> {
  const key = `person:${newId("TaskId", context.ids)}`;
  return submitScheduled(context, existingSchedule(context.store, id), { key, cause: "person" });
}

/**
 * Submits a schedule's task and writes the run down, in one transaction: exactly once for each key, whenever the server
 * dies. `then` is part of that transaction. Throws what cannot be submitted; `recordFailure` writes that down.
 */
export async function submitScheduled(
  context: SubmitContext,
  schedule: Schedule,
  run: {
    key: string;
    cause: RunCause;
    dueAt?: number;
    /** Behind the schedule's own prompt. */
    more?: string;
  },
  then: () => void = () => {},
): Promise<TaskRow> {
  const { store } = context;
  const { more, ...claim } = run;
  // An earlier release, whose tasks had fewer fields, may have written it.
  const task = scheduledTaskSchema.parse(schedule.task);
  const prompt = more === undefined ? task.prompt : `${task.prompt}\n\n${more}`;
  const create = await prepareTask(context, schedule.person, { ...task, prompt });
  return store.atomically(() => {
    const now = store.schedules.get(schedule.id);
    if (now === undefined) throw noSchedule(schedule.id);
    if (run.cause !== "person" && !now.enabled) throw new CcwError("conflict", "The schedule is paused.");
    // What was checked above is what is submitted, or nothing is.
    if (JSON.stringify(now.task) !== JSON.stringify(schedule.task) || now.person.id !== schedule.person.id)
      throw new CcwError("conflict", "The schedule was changed at this moment.", "Try again.");
    then();
    const files = task.attachments.map(attachmentIdOf);
    const made = create({ attachments: store.attachments.copy(files, schedule.person.id) });
    const scheduleId = schedule.id;
    if (!store.schedules.claim({ ...claim, scheduleId, outcome: { kind: "task", taskId: made.id } }))
      throw new AlreadyRun();
    store.events.append(made.id, {
      kind: "appliance_notice",
      level: "info",
      text: startedBy(now, run.cause),
    });
    store.schedules.update(scheduleId, { failures: 0, lastError: "" });
    return made;
  });
}

/** That run was made before, by an earlier server process or a request at the same moment. */
export class AlreadyRun extends Error {}

/** Tells a failure on the schedule; when it has failed too often in a row it is paused, and its person is told. */
export function recordFailure(
  store: Store,
  id: ScheduleId,
  run: { key: string; cause: "time" | "trigger"; dueAt?: number },
  thrown: CcwError,
): void {
  const reason = [thrown.message, thrown.hint].filter(Boolean).join(" ");
  store.atomically(() => {
    const schedule = store.schedules.get(id);
    if (schedule === undefined) return;
    store.schedules.claim({ ...run, scheduleId: id, outcome: { kind: "failed", reason } });
    const failures = schedule.failures + 1;
    const over = failures >= maxFailures;
    const lastError = over ? `${reason} It was paused after ${failures} failures in a row.` : reason;
    store.schedules.update(id, {
      ...{ failures, lastError },
      ...(over && { enabled: false, nextAt: undefined }),
    });
    // Of requests to its trigger at the same moment one pauses it.
    if (over && schedule.enabled)
      store.notifications.queue(schedule.person.id, undefined, pausedNotice(schedule.name, lastError));
  });
}

export function existingSchedule(store: Store, id: string): Schedule {
  const schedule = isId("ScheduleId", id) ? store.schedules.get(id) : undefined;
  if (schedule === undefined) throw noSchedule(id);
  return schedule;
}

/** These are the schedule's from now on, and no others; the bytes of what it had are swept up. */
function keepFiles(store: Store, scheduleId: ScheduleId, person: Person, wanted: readonly string[]): void {
  const had = store.attachments.ofSchedule(scheduleId).map(({ id }) => id);
  const fresh = wanted.map(attachmentIdOf).filter((id) => !had.includes(id));
  store.attachments.claim(fresh, person.id, { scheduleId });
  for (const id of had) if (!wanted.includes(id)) store.attachments.remove(id);
}

function noSchedule(id: string): CcwError {
  return new CcwError(
    "not_found",
    `There is no schedule ${JSON.stringify(id.slice(0, 80))}.`,
    "`ccw-server schedule list` shows the schedules.",
  );
}

function startedBy({ name }: Schedule, cause: RunCause): string {
  switch (cause) {
    case "time":
      return `Started by the schedule “${name}”.`;
    case "trigger":
      return `Started by a request to the trigger of the schedule “${name}”.`;
    case "person":
      return `Started by hand from the schedule “${name}”.`;
  }
}
