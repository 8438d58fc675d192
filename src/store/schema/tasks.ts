import { sql } from "drizzle-orm";
import { index, integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import type { GroupId, PersonId, TaskId } from "../../domain/ids.ts";
import type { TaskRestore } from "../../domain/store/tasks.ts";
import type {
  AgentMode,
  PullRequestWish,
  TaskRepository,
  TaskState,
  TaskStateKind,
} from "../../domain/task.ts";
import { taskGroups } from "./groups.ts";
import { people } from "./people.ts";

export const tasks = sqliteTable(
  "tasks",
  {
    id: text().$type<TaskId>().primaryKey(),
    title: text().notNull(),
    personId: text("person_id")
      .$type<PersonId>()
      .notNull()
      .references(() => people.id),
    environment: text().notNull(),
    sealedEnvironment: text("sealed_environment").notNull(),
    agent: text().notNull(),
    model: text().notNull(),
    mode: text().$type<AgentMode>().notNull().default("act"),
    /** Its prompts wait for a person's word. */
    held: integer({ mode: "boolean" }).notNull().default(false),
    /** What its next new sandbox begins with, where that is not its own last snapshot. */
    restore: text({ mode: "json" }).$type<TaskRestore>(),
    /** Of its sandbox, in a row. */
    deaths: integer().notNull().default(0),
    /** When a paused task goes on by itself. */
    pausedUntil: integer("paused_until"),
    repositories: text({ mode: "json" }).$type<TaskRepository[]>().notNull(),
    /** Still to be opened by itself. */
    pullRequest: text("pull_request").$type<PullRequestWish>().notNull().default("none"),
    stateKind: text("state_kind").$type<TaskStateKind>().notNull(),
    state: text({ mode: "json" }).$type<TaskState>().notNull(),
    /** Its place among several attempts at the same prompt. */
    groupId: text("group_id")
      .$type<GroupId>()
      .references(() => taskGroups.id),
    attempt: integer(),
    leaseOwner: text("lease_owner"),
    leaseUntil: integer("lease_until"),
    createdAt: integer("created_at").notNull(),
    updatedAt: integer("updated_at").notNull(),
    archivedAt: integer("archived_at"),
    deletedAt: integer("deleted_at"),
    /** From when on what belongs to a deleted task is removed; 0 once that has begun. */
    removeAt: integer("remove_at"),
  },
  (table) => [
    index("tasks_by_state").on(table.stateKind, table.createdAt),
    index("tasks_by_time").on(table.createdAt),
    index("tasks_to_remove").on(table.removeAt).where(sql`deleted_at IS NOT NULL`),
    index("tasks_queued").on(table.personId).where(sql`state_kind = 'queued'`),
    index("tasks_by_group").on(table.groupId).where(sql`group_id IS NOT NULL`),
    index("tasks_to_resume").on(table.pausedUntil).where(sql`paused_until IS NOT NULL`),
    index("tasks_owing_pull_requests").on(table.createdAt).where(sql`pull_request <> 'none'`),
  ],
);
