import type { TaskEvent } from "./event.ts";
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

type NotableEvent = TaskEvent & { taskId: TaskId };

/** Channels, the outbox and the log of deliveries, which is what is left of the outbox. */
export interface NotificationStore {
  addChannel(
    personId: PersonId,
    settings: ChannelSettings,
    kinds: readonly NotificationKind[],
  ): NotificationChannel;
  channels(personId: PersonId): NotificationChannel[];
  channel(id: number): NotificationChannel | undefined;
  settingsOf(id: number): ChannelSettings;
  /** What waits on a channel that is switched off is given up. */
  updateChannel(
    id: number,
    change: { kinds?: readonly NotificationKind[]; on?: boolean; trouble?: string },
  ): void;
  /** With its log. */
  removeChannel(id: number): boolean;
  /** Up to where events have become notifications; the newest event where nobody ever asked. */
  cursor(): number;
  setCursor(seq: number): void;
  /** Notable events above `seq`, of a bounded stretch that ends at `upTo`. */
  notable(seq: number): { events: NotableEvent[]; upTo: number };
  /** Of the task, around one of its events. */
  statesAround(taskId: TaskId, event: Pick<TaskEvent, "seq" | "at">): StatesAround;
  /**
   * Into the outbox of every channel of the person that wants it, once for an event; without one, of now and of no task.
   * Requests for access of a task are told once in a while.
   */
  queue(
    personId: PersonId,
    event: Omit<NotableEvent, "body"> | undefined,
    notice: Notice & { title: string },
  ): void;
  /** The oldest of each channel, where its time has come. */
  due(limit: number, exceptChannels: readonly number[]): Delivery[];
  /** What became of a try. */
  settle(
    id: number,
    change: Partial<Pick<Delivery, "state" | "attempts" | "nextAt" | "status" | "error">>,
  ): void;
  /** A test that was carried out already, for the log. */
  record(delivery: Pick<Delivery, "channelId" | "messageId" | "state" | "status" | "error">): void;
  /** Of one person, newest first. */
  log(personId: PersonId, limit: number, channelId?: number): Delivery[];
  /** Forgets what ended before `time`, and all but the newest `perChannel` of each channel that have ended. */
  prune(time: number, perChannel: number): void;
}
