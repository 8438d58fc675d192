import type { PromptId, SandboxId, TaskId } from "../ids.ts";
import type { SessionCommand, SessionCommandBody, SessionEvent } from "../session.ts";

export interface SandboxRecord {
  id: SandboxId;
  taskId: TaskId;
  /** For how long it was watched since it was made or woken, counted by a clock that is never set: its time, see `watchTime`. */
  awakeMs: number;
  endedAt: number | undefined;
  /** The highest event number held from the guest. */
  acked: number;
  /** Of all events held from it since a person's last word, with what each costs to keep. */
  eventBytes: number;
  /** Since when its container is stopped; undefined while it is awake. */
  asleepAt: number | undefined;
  /** How far `run-task` has acted on the task's events. */
  cursor: number;
  /** The prompt whose turn runs, or that was sent and waits for its turn. */
  busyWith: PromptId | undefined;
  /** Why the task is to fail once the sandbox has finished; empty where it is not. */
  failure: string;
  /** Bare repositories on this machine whose objects it borrows. */
  objectFolders: string[];
}

export interface SandboxStore {
  /** Its cursor begins behind what the task has seen so far. */
  create(id: SandboxId, taskId: TaskId): void;
  get(id: SandboxId): SandboxRecord | undefined;
  /** The one of the task that has not ended, awake or asleep: there is one at most. */
  current(taskId: TaskId): SandboxRecord | undefined;
  /** Its container is to be started again: a new count of its time begins. */
  wake(id: SandboxId): void;
  /** Those that fell asleep before this time (ms) and have not ended. */
  asleepSince(time: number): SandboxRecord[];
  update(
    id: SandboxId,
    change: Partial<
      Pick<SandboxRecord, "cursor" | "failure" | "awakeMs" | "endedAt" | "objectFolders" | "eventBytes">
    >,
  ): void;
  setBusy(id: SandboxId, promptId: PromptId | undefined): void;
  /** See ControlPort.appendEvents. */
  appendEvents(id: SandboxId, events: SessionEvent[]): number;
  appendCommand(id: SandboxId, command: SessionCommandBody): void;
  commandsAfter(id: SandboxId, n: number, limit: number): SessionCommand[];
  /** The number of its last command; 0 where it was given none. */
  lastCommand(id: SandboxId): number;
  /** Whether it was told to interrupt after it was given this prompt. */
  isInterruptedSince(id: SandboxId, promptId: PromptId): boolean;
  /** The object folders of all sandboxes that have not ended. */
  borrowedFolders(): string[];
}
