import { sql } from "drizzle-orm";
import { index, integer, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";
import type { PersonId, TaskId } from "../../domain/ids.ts";
import type { ChannelKind, Delivery, NotificationKind } from "../../domain/notification.ts";
import { people } from "./people.ts";
import { tasks } from "./tasks.ts";

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
