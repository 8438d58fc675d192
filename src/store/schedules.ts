import {
  and,
  asc,
  between,
  count,
  desc,
  eq,
  gt,
  inArray,
  isNotNull,
  isNull,
  lt,
  lte,
  min,
  or,
  sql,
} from "drizzle-orm";
import { CcwError } from "../domain/errors.ts";
import type { ScheduleId } from "../domain/ids.ts";
import type { Schedule, ScheduleRun } from "../domain/schedule.ts";
import type { ScheduleStore } from "../domain/store/schedules.ts";
import type { StoreContext } from "./context.ts";
import { attachments } from "./schema/attachments.ts";
import { people } from "./schema/people.ts";
import { scheduleRuns, schedules } from "./schema/schedules.ts";
import { tasks } from "./schema/tasks.ts";

/** What is older than a day is dropped beyond so many runs of one schedule. */
const keptRuns = 1000;
const dayMs = 24 * 3600 * 1000;

export function createScheduleStore({ db, ids, wakeAfterCommit }: StoreContext): ScheduleStore {
  const select = (where?: ReturnType<typeof and>): Schedule[] =>
    db
      .select()
      .from(schedules)
      .innerJoin(people, eq(schedules.personId, people.id))
      .where(where)
      .orderBy(asc(schedules.nextAt), asc(sql`lower(${schedules.name})`))
      .all()
      .map(({ schedules: { personId: _, triggerHash: __, ...row }, people: { id, name } }) => ({
        ...row,
        person: { id, name },
        nextAt: row.nextAt ?? undefined,
        triggerSince: row.triggerSince ?? undefined,
      }));

  const freeName = (name: string, except?: ScheduleId) => {
    const taken = db
      .select({ id: schedules.id })
      .from(schedules)
      .where(sql`lower(${schedules.name}) = lower(${name})`)
      .get();
    if (taken !== undefined && taken.id !== except)
      throw new CcwError("conflict", `There is a schedule named ${JSON.stringify(name)} already.`);
  };

  return {
    add({ person, nextAt, ...rest }) {
      freeName(rest.name);
      const now = ids.now();
      db.insert(schedules)
        .values({
          ...rest,
          personId: person.id,
          nextAt: nextAt ?? null,
          enabled: true,
          createdAt: now,
          updatedAt: now,
        })
        .run();
      wakeAfterCommit("schedules");
    },
    get: (id) => select(eq(schedules.id, id))[0],
    list: () => select().sort((one, other) => one.name.localeCompare(other.name)),
    update(id, { person, ...change }) {
      if (change.name !== undefined) freeName(change.name, id);
      db.update(schedules)
        .set({
          ...change,
          ...("nextAt" in change && { nextAt: change.nextAt ?? null }),
          ...(person !== undefined && { personId: person.id }),
          updatedAt: ids.now(),
        })
        .where(eq(schedules.id, id))
        .run();
      wakeAfterCommit("schedules");
    },
    remove(id) {
      db.delete(attachments).where(eq(attachments.scheduleId, id)).run();
      db.delete(scheduleRuns).where(eq(scheduleRuns.scheduleId, id)).run();
      const gone = db.delete(schedules).where(eq(schedules.id, id)).returning({ id: schedules.id }).all();
      wakeAfterCommit("schedules");
      return gone.length > 0;
    },
    setTrigger(id, hash) {
      db.update(schedules)
        .set({ triggerHash: hash ?? null, triggerSince: hash === undefined ? null : ids.now() })
        .where(eq(schedules.id, id))
        .run();
      wakeAfterCommit("schedules");
    },
    triggerHash: (id) =>
      db.select({ hash: schedules.triggerHash }).from(schedules).where(eq(schedules.id, id)).get()?.hash ??
      undefined,
    due: (now) => select(lte(schedules.nextAt, now)),
    nextDue: (after) =>
      db
        .select({ at: min(schedules.nextAt) })
        .from(schedules)
        .where(gt(schedules.nextAt, after))
        .get()?.at ?? undefined,
    claim({ scheduleId, dueAt, outcome, ...rest }) {
      const now = ids.now();
      const taskId = outcome.kind === "task" ? outcome.taskId : null;
      const claimed = db
        .insert(scheduleRuns)
        .values({ ...rest, scheduleId, outcome, taskId, dueAt: dueAt ?? null, at: now })
        .onConflictDoNothing()
        .returning({ id: scheduleRuns.id })
        .get();
      if (claimed === undefined) return false;
      const old = and(
        eq(scheduleRuns.scheduleId, scheduleId),
        lt(scheduleRuns.at, now - dayMs),
        sql`${scheduleRuns.id} <= (
          SELECT id FROM schedule_runs WHERE schedule_id = ${scheduleId} ORDER BY id DESC LIMIT 1 OFFSET ${keptRuns}
        )`,
      );
      db.delete(scheduleRuns).where(old).run();
      wakeAfterCommit("schedules");
      return true;
    },
    runOf(id, key, since) {
      const its = and(eq(scheduleRuns.scheduleId, id), eq(scheduleRuns.key, key));
      db.update(scheduleRuns)
        .set({ key: sql`'over:' || ${scheduleRuns.id}` })
        .where(and(its, lt(scheduleRuns.at, since)))
        .run();
      const row = db.select().from(scheduleRuns).where(its).get();
      return row === undefined ? undefined : runOf(row);
    },
    runs: (id, limit) =>
      db
        .select()
        .from(scheduleRuns)
        .where(eq(scheduleRuns.scheduleId, id))
        .orderBy(desc(scheduleRuns.id))
        .limit(limit)
        .all()
        .map(runOf),
    count: (id, cause, from, to) =>
      db
        .select({ n: count() })
        .from(scheduleRuns)
        .where(
          and(
            eq(scheduleRuns.scheduleId, id),
            eq(scheduleRuns.cause, cause),
            between(scheduleRuns.at, from, to),
          ),
        )
        .get()?.n ?? 0,
    taskAtWork: (id) =>
      db
        .select({ id: tasks.id })
        .from(scheduleRuns)
        .innerJoin(tasks, eq(scheduleRuns.taskId, tasks.id))
        .where(
          and(
            eq(scheduleRuns.scheduleId, id),
            or(
              inArray(tasks.stateKind, ["queued", "starting", "running", "waiting", "finishing"]),
              // One that waits for a person would stop its schedule for ever.
              and(
                eq(tasks.stateKind, "paused"),
                isNotNull(tasks.pausedUntil),
                isNull(tasks.archivedAt),
                isNull(tasks.deletedAt),
              ),
            ),
          ),
        )
        .limit(1)
        .get()?.id,
  };
}

function runOf({ scheduleId, cause, dueAt, at, outcome }: typeof scheduleRuns.$inferSelect): ScheduleRun {
  return { scheduleId, cause, dueAt: dueAt ?? undefined, at, outcome };
}
