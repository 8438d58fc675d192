import { and, asc, desc, eq, inArray, max, sql } from "drizzle-orm";
import type { TaskId } from "../domain/ids.ts";
import type { PullRequest, PullRequestBadge } from "../domain/pull-request.ts";
import type { PullRequestStore } from "../domain/store/pull-requests.ts";
import type { StoreContext } from "./context.ts";
import { pullRequests } from "./schema/pull-requests.ts";

type Row = typeof pullRequests.$inferSelect;

export function createPullRequestStore({ db, ids, wakeAfterCommit }: StoreContext): PullRequestStore {
  /** A task that was deleted takes its pull requests along. */
  const there = sql`NOT EXISTS (SELECT 1 FROM tasks WHERE tasks.id = ${pullRequests.taskId} AND tasks.deleted_at IS NOT NULL)`;
  const get = (id: PullRequest["id"]) =>
    db
      .select()
      .from(pullRequests)
      .where(and(eq(pullRequests.id, id), there))
      .get();
  const nextNumber = (repository: string) =>
    (db
      .select({ number: max(pullRequests.number) })
      .from(pullRequests)
      .where(and(eq(pullRequests.repository, repository), eq(pullRequests.keptBy, "appliance")))
      .get()?.number ?? 0) + 1;
  const told = ({ taskId }: Row) => {
    wakeAfterCommit(taskId);
    wakeAfterCommit("tasks");
  };
  return {
    add(pullRequest) {
      const now = ids.now();
      const { repository, keptBy, number } = pullRequest;
      const counted = keptBy === "appliance" && number === 0 ? nextNumber(repository) : number;
      const row = db
        .insert(pullRequests)
        .values({ ...pullRequest, number: counted, createdAt: now, updatedAt: now })
        .returning()
        .get();
      told(row);
      return pullRequestOf(row);
    },
    get(id) {
      const row = get(id);
      return row && pullRequestOf(row);
    },
    list({ taskId, repository, states, limit }) {
      const where = and(
        there,
        taskId === undefined ? undefined : eq(pullRequests.taskId, taskId),
        repository === undefined ? undefined : eq(pullRequests.repository, repository),
        states === undefined ? undefined : inArray(pullRequests.state, [...states]),
      );
      const newestFirst = [desc(pullRequests.createdAt), desc(pullRequests.id)];
      const rows = db
        .select()
        .from(pullRequests)
        .where(where)
        .orderBy(...newestFirst)
        .limit(limit)
        .all();
      return rows.map(pullRequestOf);
    },
    toPoll(limit) {
      const where = and(eq(pullRequests.state, "open"), eq(pullRequests.keptBy, "forge"), there);
      const rows = db
        .select()
        .from(pullRequests)
        .where(where)
        .orderBy(asc(pullRequests.polledAt))
        .limit(limit)
        .all();
      return rows.map(pullRequestOf);
    },
    update(id, change) {
      const row = db
        .update(pullRequests)
        .set({ ...change, updatedAt: ids.now() })
        .where(eq(pullRequests.id, id))
        .returning()
        .get();
      if (row !== undefined) told(row);
    },
    polled(id) {
      db.update(pullRequests).set({ polledAt: ids.now() }).where(eq(pullRequests.id, id)).run();
    },
  };
}

/** What a list of tasks shows of their pull requests, oldest first. */
export function badgesOf({ db }: StoreContext, taskIds: readonly TaskId[]): Map<TaskId, PullRequestBadge[]> {
  const { taskId, id, repository, number, state, draft, updatedAt } = pullRequests;
  const rows = db
    .select({ taskId, badge: { id, repository, number, state, draft, updatedAt } })
    .from(pullRequests)
    .where(inArray(taskId, [...taskIds]))
    .orderBy(asc(pullRequests.createdAt), asc(id))
    .all();
  return new Map(
    taskIds.map((task) => [task, rows.filter((row) => row.taskId === task).map(({ badge }) => badge)]),
  );
}

function pullRequestOf({ polledAt: _, ...pullRequest }: Row): PullRequest {
  return pullRequest;
}
