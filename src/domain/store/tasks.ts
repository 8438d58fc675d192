import type { Environment } from "../environment.ts";
import type { Attempt } from "../group.ts";
import type { AttachmentId, PersonId, PromptId, SandboxId, TaskId } from "../ids.ts";
import type { PullRequestBadge } from "../pull-request.ts";
import type { AgentMode, PullRequestWish, Task, TaskRepository, TaskState, TaskStateKind } from "../task.ts";
import type { Person } from "./people.ts";

export interface TaskRow extends Task {
  /** After an interruption: its prompts wait for a person's word. */
  held: boolean;
  restore: TaskRestore | undefined;
  /** `none`: it had none yet, or the last one is gone for good. */
  sandbox: "awake" | "asleep" | "none";
  /** First of the queue is 1; undefined for a task that is not queued. */
  queuePosition: number | undefined;
  /** Of all kinds: what was read from the cache or written to it, too. */
  inputTokens: number;
  outputTokens: number;
  /** Nano-dollars; without what had no price. */
  costNano: number;
  /** Requests that had no price. */
  unpriced: number;
  pullRequests: PullRequestBadge[];
  /** Since when it is left out of lists; undefined for one that is not archived. */
  archivedAt: number | undefined;
  /** It is gone for people; `removeAt`: until then it can be restored, and then all of it is removed. */
  deletion: { at: number; removeAt: number } | undefined;
  /** Where it is one of several attempts at the same prompt. */
  attempt: Attempt | undefined;
}

/** `current`: neither archived nor deleted. `all`: those and the archived ones. */
export const taskShelves = ["current", "archived", "all", "deleted"] as const;
export type TaskShelf = (typeof taskShelves)[number];

/** A snapshot that the task's next new sandbox begins with; of another task where it was forked. */
export interface TaskRestore {
  taskId: TaskId;
  turn: number;
}

/** What cannot start for now: these tasks, and those that need one of these repositories. */
export interface LeftOut {
  tasks: ReadonlySet<TaskId>;
  repositories: ReadonlySet<string>;
}

/** The first of the queue. `repositories`: what a new sandbox of its will need; none where it has one that sleeps. */
export interface NextTask {
  id: TaskId;
  person: PersonId;
  repositories: string[];
}

export interface TaskStore {
  create(input: {
    id: TaskId;
    title: string;
    person: Person;
    environment: Environment;
    agent: string;
    model: string;
    mode?: AgentMode;
    repositories: TaskRepository[];
    /** The work that it begins with, of another task or turn. */
    restore?: TaskRestore | undefined;
    pullRequest?: PullRequestWish;
    attempt?: Pick<Attempt, "groupId" | "number"> | undefined;
    prompt: { id: PromptId; text: string; attachments?: readonly AttachmentId[] };
  }): void;
  /** Undefined for one that was deleted, too. */
  get(id: TaskId): TaskRow | undefined;
  /** The state alone, which costs far less than the whole row. */
  stateOf(id: TaskId): TaskState | undefined;
  /** Newest first; `shelf` is `current` where it is left out. */
  list(filter: {
    limit: number;
    before?: number;
    states?: readonly TaskStateKind[];
    shelf?: TaskShelf;
  }): TaskRow[];
  /** The environment as it was when the task was submitted. */
  environmentOf(id: TaskId): Environment;
  /**
   * The queued task that starts next: of the person with the fewest active tasks, the oldest. A person who has very many
   * waiting for the same repository may wait for it with all of their tasks; nobody else does.
   */
  next(leftOut?: LeftOut): NextTask | undefined;
  /** Queued tasks that need this repository: of each person the first ones, not all of very many. */
  needing(repository: string): TaskId[];
  /**
   * Takes a queued task, the next one where none is named. Its sandbox is the one that it has, or else `sandboxId`, and is
   * written down. Undefined where `limit` tasks are active already or none waits.
   */
  claim(lease: Lease, sandboxId: SandboxId, limit: number, id?: TaskId): TaskRow | undefined;
  /** Extends the leases of these tasks. */
  renew(ids: readonly TaskId[], lease: Lease): void;
  /** Active tasks whose lease has run out, or is held by another owner where `otherOwners` is set; they are ours now. */
  takeUp(lease: Lease, otherOwners: boolean): TaskRow[];
  /**
   * Checks that the move is legal, writes it, appends the event. Throws `conflict`. With a task that ends, what it asks
   * of a person ends: its pending requests for access expire, each with its event before the task's last one. With a
   * task that is active no longer its sandbox falls asleep.
   */
  move(id: TaskId, to: TaskState): void;
  /**
   * Puts a task that is paused or has ended back into the queue, and takes it out of the archive. Its sandbox stays, if
   * there is one. Throws `conflict`.
   */
  reopen(id: TaskId): void;
  /** Puts it into the archive, or takes it back. */
  setArchived(id: TaskId, archived: boolean): void;
  /** Model, mode, whether its prompts wait for a person's word, what its next new sandbox begins with. */
  update(id: TaskId, change: Partial<Pick<TaskRow, "model" | "mode" | "held" | "restore">>): void;
  /** Counts one more death of its sandbox in a row, and says how many there are. */
  countDeath(id: TaskId): number;
  forgetDeaths(id: TaskId): void;
  /** The one that has been idle for longest, to give its place up to another. */
  longestIdle(): TaskId | undefined;
  /** Paused tasks whose time has come, but those that are archived or deleted. */
  duePauses(now: number): TaskId[];
  /** Completed tasks whose pull request is still to be opened by itself, newest first. */
  owingPullRequests(limit: number): TaskRow[];
  /** Its pull request was opened by itself, or cannot be. */
  settlePullRequest(id: TaskId): void;
  count(states: readonly TaskStateKind[]): number;
}

export interface Lease {
  owner: string;
  /** Milliseconds since the epoch. */
  until: number;
}
