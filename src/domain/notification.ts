import type { PersonId, TaskId } from "./ids.ts";
import type { ChannelSettings } from "./notification-channel.ts";
import { plainLine } from "./plain-text.ts";
import { cut } from "./text-line.ts";

/**
 * What a person is told while not looking: of which events of their tasks, in which words, and by which channels. A
 * notification names the task by its title, or a schedule by its name, and gives a reason; nothing else of the transcript
 * leaves the appliance.
 */
export const notificationKinds = [
  "done",
  "failed",
  "question",
  "paused",
  "access",
  "pull_request",
  "checks_failed",
  "schedule_paused",
] as const;
export type NotificationKind = (typeof notificationKinds)[number];

export const channelKinds = ["webhook", "email", "ntfy"] as const;
export type ChannelKind = (typeof channelKinds)[number];

/** States that a task was in before an event, and within a second after it. */
export interface StatesAround {
  before: string | undefined;
  after: string | undefined;
}

export interface Notice {
  kind: NotificationKind;
  /** One line, in words; empty where the kind says it all. */
  reason: string;
}

const maxTitle = 200;

/** What is sent. `id` is the same however often it is tried, so that a receiver can tell a second one. */
export interface NotificationMessage {
  id: string;
  kind: NotificationKind | "test";
  /** Milliseconds since the epoch. */
  at: number;
  person: string;
  title: string;
  reason: string;
  taskId: TaskId | undefined;
  /** Where a person reads more. */
  url: string;
}

const kindWords: Record<NotificationMessage["kind"], string> = {
  done: "Done",
  failed: "Failed",
  question: "Question",
  paused: "Paused",
  access: "Access asked for",
  pull_request: "Pull request",
  checks_failed: "Checks failed",
  schedule_paused: "Schedule paused",
  test: "Test",
};

/** `Failed: Mend the parser`, in one line that obeys nothing. */
export function headlineOf({ kind, title }: Pick<NotificationMessage, "kind" | "title">): string {
  return `${kindWords[kind]}: ${cut(plainLine(title), maxTitle)}`;
}

/** For a channel that shows plain text below a headline. */
export function textOf({ reason, url }: Pick<NotificationMessage, "reason" | "url">): string {
  return reason === "" ? url : `${reason}\n${url}`;
}

export interface NotificationChannel {
  id: number;
  personId: PersonId;
  kind: ChannelKind;
  /** As in `shownTarget`. */
  target: string;
  kinds: NotificationKind[];
  on: boolean;
  /** Why the appliance switched it off; empty where it did not. */
  trouble: string;
  createdAt: number;
}

export type DeliveryState = "pending" | "sent" | "failed";

/** One notification on one channel: what is to be sent, and what became of it. */
export interface Delivery {
  id: number;
  channelId: number;
  messageId: string;
  taskId: TaskId | undefined;
  kind: NotificationMessage["kind"];
  title: string;
  reason: string;
  /** Of the event. */
  at: number;
  queuedAt: number;
  state: DeliveryState;
  attempts: number;
  /** When it is tried next, for one that is pending. */
  nextAt: number;
  /** Of the last answer, HTTP's or SMTP's; 0 where there was none. */
  status: number;
  error: string;
  /** Since when it is sent or given up; undefined while it is pending. */
  endedAt: number | undefined;
}

/** What came of one try. */
export type SendOutcome =
  | { kind: "sent"; status: number }
  /** `afterMs`: how long the receiver asks to be left alone. */
  | { kind: "again"; status: number; error: string; afterMs?: number | undefined }
  /** `off`: the receiver wants nothing more, ever. */
  | { kind: "refused"; status: number; error: string; off: boolean };

/** Carries one message out. Rejects only when the signal has aborted. */
export type Send = (
  settings: ChannelSettings,
  message: NotificationMessage,
  signal: AbortSignal,
) => Promise<SendOutcome>;
