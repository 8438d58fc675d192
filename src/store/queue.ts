import { sql } from "drizzle-orm";
import type { PersonId, TaskId } from "../domain/ids.ts";
import type { TaskStore } from "../domain/store/tasks.ts";
import { activeStateKinds, type TaskRepository } from "../domain/task.ts";
import type { StoreContext } from "./context.ts";

/**
 * The tasks that wait, in the order in which they are served. A person's turn is the number of their tasks that are
 * active or wait before this one, so people take turns however many tasks one of them submits; within a turn the
 * oldest task comes first (row ids grow in the order of submission).
 *
 * Nothing here goes through the whole queue for one task: a person's tasks stand one behind the other in the index
 * `tasks_queued`, people are few, and so are active tasks.
 */
interface Queue extends Pick<TaskStore, "next" | "needing"> {
  /** From 1, of those of them that wait. One pass over the index, however many are asked for. */
  positions(ids: readonly TaskId[]): Map<TaskId, number>;
}

const beyondAll = Number.MAX_SAFE_INTEGER;
/** So many of a person's tasks are looked through for one that does not need what is missing. */
const lookedThrough = 100;
const listOf = (values: Iterable<string>) =>
  sql.join(
    [...values].map((value) => sql`${value}`),
    sql`, `,
  );

export function createQueue({ db }: StoreContext): Queue {
  const active = sql`active AS MATERIALIZED (
    SELECT person_id, count(*) AS tasks FROM tasks WHERE state_kind IN (${listOf(activeStateKinds)}) GROUP BY person_id
  )`;

  return {
    next(leftOut = { tasks: new Set(), repositories: new Set() }) {
      const startable = sql`SELECT t.rowid AS row, t.id, t.repositories FROM tasks t
        WHERE t.state_kind = 'queued' AND t.person_id = p.id AND t.id NOT IN (${listOf(leftOut.tasks)})
        ORDER BY t.rowid LIMIT ${leftOut.repositories.size === 0 ? 1 : lookedThrough}`;
      const [next] = db.all<{ id: TaskId; person: PersonId; repositories: string }>(sql`
        WITH ${active}, firsts AS (
          SELECT coalesce(a.tasks, 0) AS active, (
            SELECT t.row FROM (${startable}) t
            WHERE ${leftOut.repositories.size === 0} OR NOT ${needsOneOf(leftOut.repositories)}
            ORDER BY t.row LIMIT 1
          ) AS first FROM people p LEFT JOIN active a ON a.person_id = p.id
        )
        SELECT id, person_id AS person, CASE WHEN ${hasSandbox} THEN '[]' ELSE repositories END AS repositories
        FROM tasks t
        WHERE rowid = (SELECT first FROM firsts WHERE first IS NOT NULL ORDER BY active, first LIMIT 1)`);
      if (next === undefined) return undefined;
      const repositories: TaskRepository[] = JSON.parse(next.repositories);
      return { ...next, repositories: repositories.map(({ name }) => name) };
    },
    needing: (repository) =>
      db
        .all<{ id: TaskId }>(sql`
          SELECT t.id FROM people p JOIN tasks t ON t.rowid IN (
            SELECT q.rowid FROM tasks q WHERE q.state_kind = 'queued' AND q.person_id = p.id
            ORDER BY q.rowid LIMIT ${lookedThrough}
          ) WHERE ${needsOneOf([repository])} ORDER BY t.rowid`)
        .map(({ id }) => id),
    positions(ids) {
      // The plus keeps SQLite from going through all that wait.
      const shown = db.all<{ id: TaskId; row: number; person: PersonId }>(sql`
        SELECT id, rowid AS row, person_id AS person FROM tasks
        WHERE +state_kind = 'queued' AND id IN (${listOf(ids)}) ORDER BY +rowid`);
      if (shown.length === 0) return new Map();
      const bounds = [0, ...shown.map(({ row }) => row), beyondAll];
      const gaps = bounds.slice(1).map((to, at) => [bounds[at], to]);
      const people = byPerson(
        db.all<{ person: PersonId; active: number; tasks: number }>(sql`
          WITH ${active}
          SELECT p.id AS person, coalesce(a.tasks, 0) AS active, (
            SELECT count(*) FROM tasks t
            WHERE t.state_kind = 'queued' AND t.person_id = p.id AND t.rowid > gap.value ->> 0 AND t.rowid <= gap.value ->> 1
          ) AS tasks
          FROM (SELECT id FROM people WHERE EXISTS (
            SELECT 1 FROM tasks WHERE state_kind = 'queued' AND person_id = people.id
          )) p LEFT JOIN active a ON a.person_id = p.id CROSS JOIN json_each(${JSON.stringify(gaps)}) gap
          ORDER BY p.id, gap.key`),
      );
      return new Map(
        shown.map(({ id, person }, at) => {
          const own = people.get(person);
          const turn = (own?.active ?? 0) + (own?.upTo[at] ?? 0);
          let position = 0;
          for (const { active, upTo } of people.values()) {
            // Those of an earlier turn, and the one of this turn where it is not younger.
            const earlier = Math.min(upTo.at(-1) ?? 0, Math.max(0, turn - active - 1));
            position += earlier + (turn > active && (upTo[at] ?? 0) >= turn - active ? 1 : 0);
          }
          return [id, position];
        }),
      );
    },
  };
}

const hasSandbox = sql`EXISTS (SELECT 1 FROM sandboxes s WHERE s.task_id = t.id AND s.ended_at IS NULL)`;

/** Of a task `t`: whether a new sandbox is to be made for it, which borrows from one of these. */
const needsOneOf = (names: Iterable<string>) => sql`(
  EXISTS (SELECT 1 FROM json_each(t.repositories) WHERE value ->> 'name' IN (${listOf(names)})) AND NOT ${hasSandbox}
)`;

/** How many tasks of a person wait up to each task that is shown, itself included, and at last all of them. */
interface Waiting {
  active: number;
  upTo: number[];
}

function byPerson(
  rows: readonly { person: PersonId; active: number; tasks: number }[],
): Map<PersonId, Waiting> {
  const people = new Map<PersonId, Waiting>();
  for (const { person, active, tasks } of rows) {
    const waiting = people.get(person) ?? { active, upTo: [] };
    waiting.upTo.push((waiting.upTo.at(-1) ?? 0) + tasks);
    people.set(person, waiting);
  }
  return people;
}
