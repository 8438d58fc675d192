import { sql } from "drizzle-orm";
import { index, integer, primaryKey, real, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";
import type { AccessState } from "../domain/access-request.ts";
import type { TaskLimits } from "../domain/budget.ts";
import type { DenyCode, EgressEntry } from "../domain/egress.ts";
import type { TaskEventBody } from "../domain/event.ts";
import type { ForgeCredential, ForgeKind } from "../domain/forge.ts";
import type {
  AttachmentId,
  GroupId,
  PersonId,
  PromptId,
  PullRequestId,
  SandboxId,
  ScheduleId,
  TaskId,
  TicketId,
  TokenId,
} from "../domain/ids.ts";
import type { ChannelKind, Delivery, NotificationKind } from "../domain/notification.ts";
import type { PullRequest } from "../domain/pull-request.ts";
import type { Repository } from "../domain/repository.ts";
import type { RunCause, Schedule, ScheduleOutcome } from "../domain/schedule.ts";
import type { SearchKind } from "../domain/search.ts";
import type { SessionCommandBody } from "../domain/session.ts";
import type {
  Attachment,
  PromptState,
  Snapshot,
  TaskRestore,
  TicketFacts,
  TokenKind,
} from "../domain/store.ts";
import type { AgentMode, PullRequestWish, TaskRepository, TaskState, TaskStateKind } from "../domain/task.ts";

/** Times are milliseconds since the epoch. `sealed` columns hold ciphertext of seal.ts. */

export const people = sqliteTable("people", {
  id: text().$type<PersonId>().primaryKey(),
  name: text().notNull().unique(),
  /** For the author of commits; empty where nobody said. */
  email: text().notNull().default(""),
  createdAt: integer("created_at").notNull(),
});

export const tokens = sqliteTable("tokens", {
  id: text().$type<TokenId>().primaryKey(),
  kind: text().$type<TokenKind>().notNull(),
  name: text().notNull(),
  personId: text("person_id")
    .$type<PersonId>()
    .notNull()
    .references(() => people.id),
  /** SHA-256 of the secret, hex. */
  hash: text().notNull().unique(),
  createdAt: integer("created_at").notNull(),
  expiresAt: integer("expires_at"),
  revokedAt: integer("revoked_at"),
});

export const forges = sqliteTable("forges", {
  name: text().primaryKey(),
  kind: text().$type<ForgeKind>().notNull(),
  url: text().notNull(),
  apiUrl: text("api_url").notNull(),
  credential: text().$type<ForgeCredential["kind"]>().notNull(),
  sealedCredential: text("sealed_credential").notNull(),
  createdAt: integer("created_at").notNull(),
  updatedAt: integer("updated_at").notNull(),
});

export const repositories = sqliteTable("repositories", {
  name: text().primaryKey(),
  kind: text().$type<Repository["kind"]>().notNull(),
  defaultBranch: text("default_branch").notNull(),
  push: text({ mode: "json" }).$type<Repository["push"]>().notNull().default({ force: false, delete: false }),
  createdAt: integer("created_at").notNull(),
  /** The rest is set for remote repositories alone. */
  forge: text().references(() => forges.name),
  path: text(),
  cloneUrl: text("clone_url"),
  webUrl: text("web_url"),
});

export const pullRequests = sqliteTable(
  "pull_requests",
  {
    id: text().$type<PullRequestId>().primaryKey(),
    taskId: text("task_id")
      .$type<TaskId>()
      .notNull()
      .references(() => tasks.id),
    repository: text().notNull(),
    keptBy: text("kept_by").$type<PullRequest["keptBy"]>().notNull(),
    number: integer().notNull(),
    webUrl: text("web_url").notNull(),
    title: text().notNull(),
    body: text().notNull(),
    draft: integer({ mode: "boolean" }).notNull(),
    state: text().$type<PullRequest["state"]>().notNull(),
    base: text().notNull(),
    head: text().notNull(),
    headCommit: text("head_commit").notNull(),
    checks: text({ mode: "json" }).$type<PullRequest["checks"]>().notNull(),
    comments: text({ mode: "json" }).$type<PullRequest["comments"]>().notNull().default([]),
    trouble: text().notNull().default(""),
    follow: text({ mode: "json" }).$type<PullRequest["follow"]>().notNull(),
    createdAt: integer("created_at").notNull(),
    updatedAt: integer("updated_at").notNull(),
    polledAt: integer("polled_at").notNull().default(0),
  },
  (table) => [
    index("pull_requests_by_task").on(table.taskId),
    index("pull_requests_to_poll").on(table.state, table.polledAt),
    uniqueIndex("pull_requests_once").on(table.repository, table.keptBy, table.number),
  ],
);

export const environments = sqliteTable("environments", {
  name: text().primaryKey(),
  sealed: text().notNull(),
  createdAt: integer("created_at").notNull(),
  updatedAt: integer("updated_at").notNull(),
});

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

export const taskGroups = sqliteTable("task_groups", {
  id: text().$type<GroupId>().primaryKey(),
  title: text().notNull(),
  prompt: text().notNull(),
  person: text().notNull(),
  attempts: integer().notNull(),
  pullRequest: text("pull_request").$type<PullRequestWish>().notNull(),
  kept: text().$type<TaskId>(),
  createdAt: integer("created_at").notNull(),
});

export const schedules = sqliteTable(
  "schedules",
  {
    id: text().$type<ScheduleId>().primaryKey(),
    name: text().notNull(),
    personId: text("person_id")
      .$type<PersonId>()
      .notNull()
      .references(() => people.id),
    time: text({ mode: "json" }).$type<Schedule["time"]>().notNull(),
    task: text({ mode: "json" }).$type<Schedule["task"]>().notNull(),
    missed: text().$type<Schedule["missed"]>().notNull(),
    overlap: text().$type<Schedule["overlap"]>().notNull(),
    triggersPerHour: integer("triggers_per_hour").notNull(),
    enabled: integer({ mode: "boolean" }).notNull(),
    nextAt: integer("next_at"),
    failures: integer().notNull().default(0),
    lastError: text("last_error").notNull().default(""),
    /** SHA-256 of its trigger's token, hex. */
    triggerHash: text("trigger_hash"),
    triggerSince: integer("trigger_since"),
    createdAt: integer("created_at").notNull(),
    updatedAt: integer("updated_at").notNull(),
  },
  (table) => [
    uniqueIndex("schedules_by_name").on(sql`lower(${table.name})`),
    index("schedules_due").on(table.nextAt).where(sql`next_at IS NOT NULL`),
  ],
);

export const scheduleRuns = sqliteTable(
  "schedule_runs",
  {
    id: integer().primaryKey({ autoIncrement: true }),
    scheduleId: text("schedule_id")
      .$type<ScheduleId>()
      .notNull()
      .references(() => schedules.id),
    /** What makes it one: the time it was due, the key of a request to the trigger, else anything. */
    key: text().notNull(),
    cause: text().$type<RunCause>().notNull(),
    dueAt: integer("due_at"),
    at: integer().notNull(),
    outcome: text({ mode: "json" }).$type<ScheduleOutcome>().notNull(),
    /** No reference: a task may be deleted, and was made nevertheless. */
    taskId: text("task_id").$type<TaskId>(),
  },
  (table) => [
    uniqueIndex("schedule_runs_once").on(table.scheduleId, table.key),
    index("schedule_runs_by_time").on(table.scheduleId, table.at),
  ],
);

export const prompts = sqliteTable(
  "prompts",
  {
    id: text().$type<PromptId>().primaryKey(),
    taskId: text("task_id")
      .$type<TaskId>()
      .notNull()
      .references(() => tasks.id),
    person: text().notNull(),
    text: text().notNull(),
    state: text().$type<PromptState>().notNull(),
    now: integer({ mode: "boolean" }).notNull().default(false),
    /** Orders those of one task that wait; only the order counts. */
    place: real().notNull().default(0),
    attachments: text({ mode: "json" }).$type<Attachment[]>().notNull().default([]),
    createdAt: integer("created_at").notNull(),
  },
  (table) => [
    index("prompts_by_task").on(table.taskId, table.id),
    index("prompts_waiting").on(table.taskId, table.place).where(sql`state = 'queued'`),
  ],
);

export const attachments = sqliteTable(
  "attachments",
  {
    id: text().$type<AttachmentId>().primaryKey(),
    person: text()
      .$type<PersonId>()
      .notNull()
      .references(() => people.id),
    taskId: text("task_id")
      .$type<TaskId>()
      .references(() => tasks.id),
    /** Whose every run gets a copy. */
    scheduleId: text("schedule_id")
      .$type<ScheduleId>()
      .references(() => schedules.id),
    /** The attachment as which these bytes were uploaded, where that is another one. */
    file: text().$type<AttachmentId>(),
    name: text().notNull(),
    mediaType: text("media_type").notNull(),
    bytes: integer().notNull(),
    createdAt: integer("created_at").notNull(),
  },
  (table) => [
    index("attachments_by_task").on(table.taskId),
    index("attachments_by_schedule").on(table.scheduleId).where(sql`schedule_id IS NOT NULL`),
    index("attachments_by_file").on(table.file).where(sql`file IS NOT NULL`),
    index("attachments_unclaimed").on(table.createdAt).where(sql`task_id IS NULL`),
  ],
);

export const snapshots = sqliteTable(
  "snapshots",
  {
    taskId: text("task_id")
      .$type<TaskId>()
      .notNull()
      .references(() => tasks.id),
    turn: integer().notNull(),
    promptId: text("prompt_id").$type<PromptId>().notNull(),
    repositories: text({ mode: "json" }).$type<Snapshot["repositories"]>().notNull(),
    session: text().notNull(),
    at: integer().notNull(),
  },
  (table) => [primaryKey({ columns: [table.taskId, table.turn] })],
);

export const sandboxes = sqliteTable(
  "sandboxes",
  {
    id: text().$type<SandboxId>().primaryKey(),
    taskId: text("task_id")
      .$type<TaskId>()
      .notNull()
      .references(() => tasks.id),
    startedAt: integer("started_at").notNull(),
    endedAt: integer("ended_at"),
    /** Since when its container is stopped. */
    asleepAt: integer("asleep_at"),
    acked: integer().notNull().default(0),
    /** Of all events held from it, as JSON. */
    eventBytes: integer("event_bytes").notNull().default(0),
    cursor: integer().notNull().default(0),
    busyWith: text("busy_with").$type<PromptId>(),
    failure: text().notNull().default(""),
    /** Bytes that left it through the egress door, for its upload budget. */
    uploadedBytes: integer("uploaded_bytes").notNull().default(0),
    /** Bare repositories on this machine whose objects it borrows: what must not be pruned while it lives. */
    objectFolders: text("object_folders", { mode: "json" }).$type<string[]>().notNull().default([]),
  },
  (table) => [index("sandboxes_current").on(table.taskId).where(sql`ended_at IS NULL`)],
);

export const tickets = sqliteTable("tickets", {
  id: text().$type<TicketId>().primaryKey(),
  personId: text("person_id")
    .$type<PersonId>()
    .notNull()
    .references(() => people.id),
  /** No reference: of a hand-over the task is not there yet, and none outlives its task by much. */
  taskId: text("task_id").$type<TaskId>().notNull(),
  /** SHA-256 of the secret, hex. */
  hash: text().notNull().unique(),
  facts: text({ mode: "json" }).$type<TicketFacts>().notNull(),
  expiresAt: integer("expires_at").notNull(),
  usedAt: integer("used_at"),
});

export const events = sqliteTable(
  "events",
  {
    seq: integer().primaryKey({ autoIncrement: true }),
    taskId: text("task_id")
      .$type<TaskId>()
      .notNull()
      .references(() => tasks.id),
    /** Set on what a guest sent: from which sandbox, under which of its numbers. */
    sandboxId: text("sandbox_id").$type<SandboxId>(),
    n: integer(),
    at: integer().notNull(),
    kind: text().$type<TaskEventBody["kind"]>().notNull(),
    body: text({ mode: "json" }).$type<TaskEventBody>().notNull(),
  },
  (table) => [
    index("events_by_task").on(table.taskId, table.seq),
    index("events_by_kind").on(table.taskId, table.kind, table.seq),
    uniqueIndex("events_once").on(table.sandboxId, table.n),
  ],
);

export const commands = sqliteTable(
  "commands",
  {
    sandboxId: text("sandbox_id")
      .$type<SandboxId>()
      .notNull()
      .references(() => sandboxes.id),
    n: integer().notNull(),
    at: integer().notNull(),
    body: text({ mode: "json" }).$type<SessionCommandBody>().notNull(),
  },
  (table) => [primaryKey({ columns: [table.sandboxId, table.n] })],
);

export const modelRequests = sqliteTable(
  "model_requests",
  {
    id: integer().primaryKey({ autoIncrement: true }),
    taskId: text("task_id").$type<TaskId>().notNull(),
    sandboxId: text("sandbox_id").$type<SandboxId>().notNull(),
    /** Whose turn ran when it began. */
    promptId: text("prompt_id").$type<PromptId>(),
    at: integer().notNull(),
    model: text().notNull(),
    status: integer().notNull(),
    inputTokens: integer("input_tokens").notNull(),
    outputTokens: integer("output_tokens").notNull(),
    cacheReadTokens: integer("cache_read_tokens").notNull(),
    /** Of both kinds, and those of them that are kept for an hour. */
    cacheWriteTokens: integer("cache_write_tokens").notNull(),
    cacheWriteHourTokens: integer("cache_write_hour_tokens").notNull().default(0),
    webSearches: integer("web_searches").notNull().default(0),
    /** Nano-dollars by the prices of then; NULL where there was none. */
    costNano: integer("cost_nano"),
    firstByteMs: real("first_byte_ms").notNull(),
    totalMs: real("total_ms").notNull(),
  },
  (table) => [
    index("model_requests_by_task").on(table.taskId),
    index("model_requests_by_prompt").on(table.taskId, table.promptId),
  ],
);

/**
 * Sums of the model requests: what lists and budgets read, so that neither goes through thousands of rows. They stay when
 * their task is deleted, for the bill does.
 */
export const usageDays = sqliteTable(
  "usage_days",
  {
    taskId: text("task_id").$type<TaskId>().notNull(),
    /** `2026-11-21`, in the time zone that was set then. */
    day: text().notNull(),
    model: text().notNull(),
    personId: text("person_id").$type<PersonId>().notNull(),
    environment: text().notNull(),
    requests: integer().notNull(),
    /** Requests that used something which had no price. */
    unpriced: integer().notNull(),
    inputTokens: integer("input_tokens").notNull(),
    outputTokens: integer("output_tokens").notNull(),
    cacheReadTokens: integer("cache_read_tokens").notNull(),
    cacheWriteTokens: integer("cache_write_tokens").notNull(),
    cacheWriteHourTokens: integer("cache_write_hour_tokens").notNull(),
    webSearches: integer("web_searches").notNull(),
    costNano: integer("cost_nano").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.taskId, table.day, table.model] }),
    index("usage_days_by_day").on(table.day, table.personId),
  ],
);

/** What a person set for one task instead of its environment's limits. */
export const taskBudgets = sqliteTable("task_budgets", {
  taskId: text("task_id").$type<TaskId>().primaryKey(),
  limits: text({ mode: "json" }).$type<Partial<TaskLimits>>().notNull(),
});

export const settings = sqliteTable("settings", {
  name: text().primaryKey(),
  sealed: text().notNull(),
});

/** The ledger. Ids are given out by the ledger itself, without gaps, in the order in which requests began. */
export const egressRequests = sqliteTable(
  "egress_requests",
  {
    id: integer().primaryKey({ autoIncrement: true }),
    taskId: text("task_id").$type<TaskId>().notNull(),
    sandboxId: text("sandbox_id").$type<SandboxId>().notNull(),
    at: integer().notNull(),
    kind: text().$type<EgressEntry["kind"]>().notNull(),
    host: text().notNull(),
    port: integer().notNull(),
    method: text().notNull(),
    path: text().notNull(),
    address: text().notNull(),
    verdict: text().$type<EgressEntry["verdict"]>().notNull(),
    reason: text().notNull(),
    status: integer().notNull(),
    bytesUp: integer("bytes_up").notNull(),
    bytesDown: integer("bytes_down").notNull(),
    ms: real().notNull(),
    /** Still under way. */
    open: integer({ mode: "boolean" }).notNull(),
  },
  (table) => [
    index("egress_by_task").on(table.taskId, table.id),
    index("egress_by_host").on(table.host, table.id),
    index("egress_by_time").on(table.at),
    // Few among many: what a reviewer looks for, and what the last server process left open.
    index("egress_not_allowed").on(table.verdict, table.id).where(sql`verdict <> 'allowed'`),
    index("egress_open").on(table.id).where(sql`open = 1`),
  ],
);

export const accessRequests = sqliteTable(
  "access_requests",
  {
    id: integer().primaryKey({ autoIncrement: true }),
    taskId: text("task_id")
      .$type<TaskId>()
      .notNull()
      .references(() => tasks.id),
    host: text().notNull(),
    port: integer().notNull(),
    /** Of the refusal that asked. */
    reason: text().$type<DenyCode>().notNull(),
    /** How often it was refused. */
    count: integer().notNull(),
    firstAt: integer("first_at").notNull(),
    lastAt: integer("last_at").notNull(),
    stateKind: text("state_kind").$type<AccessState["kind"]>().notNull(),
    state: text({ mode: "json" }).$type<AccessState>().notNull(),
  },
  (table) => [
    uniqueIndex("access_requests_once").on(table.taskId, table.host, table.port),
    index("access_requests_by_state").on(table.stateKind, table.id),
  ],
);

/**
 * What can be found: a row for each text of a transcript. Its words stand under the same id in `search_index`, a table of
 * SQLite's FTS5 that the migration makes; the text itself is read from the event.
 */
export const searchEntries = sqliteTable(
  "search_entries",
  {
    id: integer().primaryKey(),
    taskId: text("task_id").$type<TaskId>().notNull(),
    seq: integer().notNull(),
    kind: text().$type<SearchKind>().notNull(),
    at: integer().notNull(),
  },
  (table) => [index("search_entries_by_task").on(table.taskId, table.id)],
);

/** One row: how far the events have been read for it. */
export const searchCursor = sqliteTable("search_cursor", {
  id: integer().primaryKey(),
  seq: integer().notNull(),
});

export const notificationChannels = sqliteTable(
  "notification_channels",
  {
    id: integer().primaryKey({ autoIncrement: true }),
    personId: text("person_id")
      .$type<PersonId>()
      .notNull()
      .references(() => people.id),
    kind: text().$type<ChannelKind>().notNull(),
    /** Without its secrets. */
    target: text().notNull(),
    sealedSettings: text("sealed_settings").notNull(),
    kinds: text({ mode: "json" }).$type<NotificationKind[]>().notNull(),
    on: integer({ mode: "boolean" }).notNull().default(true),
    trouble: text().notNull().default(""),
    createdAt: integer("created_at").notNull(),
  },
  (table) => [index("notification_channels_by_person").on(table.personId)],
);

/** Outbox and log in one. */
export const notifications = sqliteTable(
  "notifications",
  {
    id: integer().primaryKey({ autoIncrement: true }),
    channelId: integer("channel_id")
      .notNull()
      .references(() => notificationChannels.id, { onDelete: "cascade" }),
    /** Null for a test. */
    eventSeq: integer("event_seq"),
    messageId: text("message_id").notNull(),
    taskId: text("task_id")
      .$type<TaskId>()
      .references(() => tasks.id, { onDelete: "cascade" }),
    kind: text().$type<Delivery["kind"]>().notNull(),
    title: text().notNull(),
    reason: text().notNull(),
    at: integer().notNull(),
    createdAt: integer("created_at").notNull(),
    state: text().$type<Delivery["state"]>().notNull(),
    attempts: integer().notNull().default(0),
    nextAt: integer("next_at").notNull(),
    status: integer().notNull().default(0),
    error: text().notNull().default(""),
    endedAt: integer("ended_at"),
  },
  (table) => [
    uniqueIndex("notifications_once").on(table.eventSeq, table.channelId),
    index("notifications_by_channel").on(table.channelId, table.id),
    index("notifications_by_task").on(table.taskId),
    index("notifications_pending").on(table.channelId, table.id).where(sql`state = 'pending'`),
  ],
);

/** One row: up to where events have become notifications. */
export const notificationCursor = sqliteTable("notification_cursor", {
  id: integer().primaryKey(),
  seq: integer().notNull(),
});
