import { desc, eq, type SQL, sql } from "drizzle-orm";
import type { TaskRow } from "../domain/store/tasks.ts";
import type { StoreContext } from "./context.ts";
import { attemptOf } from "./groups.ts";
import { badgesOf } from "./pull-requests.ts";
import { createQueue } from "./queue.ts";
import { taskGroups } from "./schema/groups.ts";
import { people } from "./schema/people.ts";
import { tasks } from "./schema/tasks.ts";
import { unused, usedBy } from "./usage.ts";

/** Whole rows, newest first. */
export function createTaskReader(
  context: StoreContext,
): (where: SQL | undefined, limit: number) => TaskRow[] {
  const { db } = context;
  const queue = createQueue(context);

  return (where, limit) => {
    const found = db
      .select({
        task: tasks,
        person: { id: people.id, name: people.name },
        group: { attempts: taskGroups.attempts, kept: taskGroups.kept },
        // By the index of those that have not ended.
        awake: sql<
          number | null
        >`(SELECT asleep_at IS NULL FROM sandboxes s WHERE s.task_id = ${tasks.id} AND s.ended_at IS NULL LIMIT 1)`,
      })
      .from(tasks)
      .innerJoin(people, eq(tasks.personId, people.id))
      .leftJoin(taskGroups, eq(tasks.groupId, taskGroups.id))
      .where(where)
      .orderBy(desc(tasks.createdAt), desc(sql`${tasks}.rowid`))
      .limit(limit)
      .all();
    const shown = found.map(({ task }) => task.id);
    const positions = queue.positions(shown);
    const badges = badgesOf(context, shown);
    const used = usedBy(context, shown);
    return found.map(({ task, person, group, awake }) => ({
      id: task.id,
      title: task.title,
      person,
      environment: task.environment,
      agent: task.agent,
      model: task.model,
      mode: task.mode,
      held: task.held,
      restore: task.restore ?? undefined,
      sandbox: awake === null ? "none" : awake === 1 ? "awake" : "asleep",
      repositories: task.repositories,
      pullRequest: task.pullRequest,
      state: task.state,
      createdAt: task.createdAt,
      updatedAt: task.updatedAt,
      queuePosition: positions.get(task.id),
      ...(used.get(task.id) ?? unused),
      pullRequests: badges.get(task.id) ?? [],
      archivedAt: task.archivedAt ?? undefined,
      deletion: task.deletedAt === null ? undefined : { at: task.deletedAt, removeAt: task.removeAt ?? 0 },
      attempt: attemptOf(task, group),
    }));
  };
}
