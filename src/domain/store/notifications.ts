import type { TaskEvent } from "../event.ts";
import type { PersonId, TaskId } from "../ids.ts";
import type {
  Delivery,
  Notice,
  NotificationChannel,
  NotificationKind,
  StatesAround,
} from "../notification.ts";
import type { ChannelSettings } from "../notification-channel.ts";

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

type NotableEvent = TaskEvent & { taskId: TaskId };
