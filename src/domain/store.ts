import type { AccessRequest, AccessState } from "./access-request.ts";
import type { TaskLimits } from "./budget.ts";
import type { DenyCode, EgressFilter, EgressLedger, EgressRow, EgressStats } from "./egress.ts";
import type { Environment } from "./environment.ts";
import type { ApplianceEvent, TaskEvent } from "./event.ts";
import type { Forge, ForgeCredential } from "./forge.ts";
import type { Attempt, TaskGroup } from "./group.ts";
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
} from "./ids.ts";
import type { ModelRequest } from "./model.ts";
import type { NotificationStore } from "./notification.ts";
import type { TokenCounts } from "./prices.ts";
import type { PullRequest, PullRequestBadge } from "./pull-request.ts";
import type { RemoteRepository, Repository } from "./repository.ts";
import type { RunCause, Schedule, ScheduleOutcome, ScheduleRun } from "./schedule.ts";
import type { SearchPage, SearchQuery } from "./search.ts";
import type { SessionCommand, SessionCommandBody, SessionEvent } from "./session.ts";
import type { AgentMode, PullRequestWish, Task, TaskRepository, TaskState, TaskStateKind } from "./task.ts";
import type { TeleportFacts } from "./teleport.ts";

/**
 * The store as the rest of the house sees it. Every verb is synchronous (SQLite in this process) and atomic by
 * itself; `atomically` makes several verbs one. Whoever appends also wakes, after the commit, never before it.
 */
export interface Store {
  atomically<Result>(work: () => Result): Result;
  people: PersonStore;
  tokens: TokenStore;
  repositories: RepositoryStore;
  forges: ForgeStore;
  pullRequests: PullRequestStore;
  environments: EnvironmentStore;
  tasks: TaskStore;
  deletions: DeletionStore;
  search: SearchStore;
  groups: GroupStore;
  schedules: ScheduleStore;
  prompts: PromptStore;
  attachments: AttachmentStore;
  snapshots: SnapshotStore;
  tickets: TicketStore;
  events: EventStore;
  sandboxes: SandboxStore;
  usage: UsageStore;
  settings: SettingStore;
  egress: EgressStore;
  access: AccessRequestStore;
  notifications: NotificationStore;
  wakes: Wakes;
  close(): void;
}

/** Wake-ups carry nothing: whoever wakes reads the database. A slow listener delays nobody. */
export interface Wakes {
  on(topic: WakeTopic, listener: () => void): () => void;
  wake(topic: WakeTopic): void;
}
/**
 * One task's events, one sandbox's commands, the list of tasks (with what is asked of a person), which tokens are in
 * force, what egress policies are made of, or when schedules are due.
 */
export type WakeTopic = TaskId | SandboxId | "tasks" | "tokens" | "policy" | "schedules";

export interface Person {
  id: PersonId;
  name: string;
}

export interface PersonStore {
  /** The person of that name, made if need be. */
  ensure(name: string): Person;
  get(id: PersonId): Person | undefined;
  list(): Person[];
  /** For the author of commits; empty where nobody said. */
  emailOf(id: PersonId): string;
  setEmail(id: PersonId, email: string): void;
}

/** `link` signs in once; `session` is a browser's cookie; `api` serves the CLI, scripts and git. */
export type TokenKind = "link" | "session" | "api";

export interface Token {
  id: TokenId;
  kind: TokenKind;
  name: string;
  person: Person;
  createdAt: number;
  expiresAt: number | undefined;
}

export interface TokenStore {
  /** Returns the secret, which is shown this once; the table holds its SHA-256. */
  create(input: { kind: TokenKind; name: string; person: PersonId; expiresAt?: number }): string;
  /** Undefined for what is unknown, expired or revoked. */
  find(secret: string): Token | undefined;
  /** Like `find`, and the token is void afterwards. */
  use(secret: string): Token | undefined;
  /** Whether the token of that id is neither expired nor revoked. */
  isValid(id: TokenId): boolean;
  list(): Token[];
  revoke(id: TokenId): boolean;
}

export interface RepositoryStore {
  /** `conflict` where the name is taken, in whatever case. */
  add(repository: Repository): void;
  get(name: string): Repository | undefined;
  list(): Repository[];
  /** For a repository that was renamed or has another default branch now. */
  update(name: string, change: Partial<Omit<RemoteRepository, "kind" | "name" | "createdAt">>): void;
  remove(name: string): boolean;
}

export interface ForgeStore {
  /** Adds it, or replaces the one of that name. */
  save(forge: Omit<Forge, "credential" | "createdAt" | "updatedAt">, credential: ForgeCredential): Forge;
  get(name: string): Forge | undefined;
  list(): Forge[];
  credentialOf(name: string): ForgeCredential;
  /** `conflict` while repositories of it are there. */
  remove(name: string): boolean;
}

export interface PullRequestStore {
  /** The appliance's own get the next number of their repository where `number` is 0. Wakes the task. */
  add(pullRequest: Omit<PullRequest, "createdAt" | "updatedAt">): PullRequest;
  get(id: PullRequestId): PullRequest | undefined;
  /** Newest first. */
  list(filter: {
    taskId?: TaskId;
    repository?: string;
    states?: readonly PullRequest["state"][];
    limit: number;
  }): PullRequest[];
  /** Those that are open, kept by a forge, and were looked at longest ago. */
  toPoll(limit: number): PullRequest[];
  update(
    id: PullRequestId,
    change: Partial<Omit<PullRequest, "id" | "taskId" | "createdAt" | "updatedAt">>,
  ): void;
  /** It was looked at now, whether it had changed or not. */
  polled(id: PullRequestId): void;
}

export interface EnvironmentStore {
  save(environment: Environment): void;
  get(name: string): Environment | undefined;
  list(): Environment[];
}

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
   * Takes the next queued task: of the person with the fewest active tasks, the oldest. Its sandbox is the one that it
   * has, or else `sandboxId`, and is written down. Undefined where `limit` tasks are active already or none waits but
   * those of `except`.
   */
  claim(lease: Lease, sandboxId: SandboxId, limit: number, except?: ReadonlySet<TaskId>): TaskRow | undefined;
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
  /** The one that has been idle for longest, where others wait for its place; undefined where none has to go. */
  crowdedOut(limit: number): TaskId | undefined;
  /** Paused tasks whose time has come, but those that are archived or deleted. */
  duePauses(now: number): TaskId[];
  /** Completed tasks whose pull request is still to be opened by itself, newest first. */
  owingPullRequests(limit: number): TaskRow[];
  /** Its pull request was opened by itself, or cannot be. */
  settlePullRequest(id: TaskId): void;
  count(states: readonly TaskStateKind[]): number;
}

/** Tasks that people have deleted. Nothing else sees them. */
export interface DeletionStore {
  /** It is gone for everybody; restored or removed by these verbs alone. */
  mark(id: TaskId, removeAt: number): void;
  get(id: TaskId): TaskRow | undefined;
  /** It is there again, as it was. */
  restore(id: TaskId): void;
  /** Some of those whose time has come, but whose work no other task is still to begin with. */
  due(now: number): TaskId[];
  /** It can be restored no more: parts of it may be gone from here on. */
  begin(id: TaskId): void;
  /**
   * Removes at most `limit` rows of it, the task's own last, and says whether there are more. What the task has used
   * stays in the sums, and its branches and pull requests where they are kept.
   */
  removePortion(id: TaskId, limit: number): boolean;
  /** Sandboxes that sleep for a task that was archived or deleted. */
  putAway(): Pick<SandboxRecord, "id" | "taskId">[];
}

/** Full-text search over titles, prompts and transcripts; what is appended is read behind the traffic's back. */
export interface SearchStore {
  /** Reads the next events, a bounded number of them, and says whether there are more. */
  indexPortion(): boolean;
  /** How many events have not been read yet. */
  behind(): number;
  /** Forgets everything; it is read again from the first event, a portion at a time. */
  rebuild(): void;
  /** Newest first, for a bounded time: where that was not enough, `next` says where to go on. */
  find(query: SearchQuery): SearchPage;
}

export interface GroupStore {
  add(group: Omit<TaskGroup, "kept" | "createdAt">): void;
  get(id: GroupId): TaskGroup | undefined;
  /** In the order of their numbers. */
  tasks(id: GroupId): TaskRow[];
  /** This one is kept, and gets the pull request that was wished for. `conflict` where another one was. */
  keep(id: GroupId, taskId: TaskId): void;
}

export interface ScheduleStore {
  /** `conflict` where the name is taken, in whatever case; so does `update`. */
  add(
    schedule: Pick<Schedule, "id" | "person" | "nextAt"> &
      Pick<Schedule, "name" | "time" | "task" | "missed" | "overlap" | "triggersPerHour">,
  ): void;
  get(id: ScheduleId): Schedule | undefined;
  /** By name. */
  list(): Schedule[];
  update(
    id: ScheduleId,
    change: {
      [Key in Exclude<keyof Schedule, "id" | "triggerSince" | "createdAt" | "updatedAt">]?:
        | Schedule[Key]
        | undefined;
    },
  ): void;
  /** With the record of its runs; the tasks that it made stay. */
  remove(id: ScheduleId): boolean;
  /** The SHA-256 of its trigger's token, hex; undefined ends the trigger. */
  setTrigger(id: ScheduleId, hash: string | undefined): void;
  triggerHash(id: ScheduleId): string | undefined;
  /** Those whose time has come, the longest overdue first. */
  due(now: number): Schedule[];
  /** When the next one behind `after` is due, of all. */
  nextDue(after: number): number | undefined;
  /** Writes a run down; false, and nothing is written, where there is one of that key. */
  claim(run: {
    scheduleId: ScheduleId;
    key: string;
    cause: RunCause;
    dueAt?: number;
    outcome: ScheduleOutcome;
  }): boolean;
  /** The run of that key from `since` (ms) on; an older one gives its key up. */
  runOf(id: ScheduleId, key: string, since: number): ScheduleRun | undefined;
  /** Newest first. */
  runs(id: ScheduleId, limit: number): ScheduleRun[];
  /** Runs of that cause between two times (ms). */
  count(id: ScheduleId, cause: RunCause, from: number, to: number): number;
  /** A task of this schedule that is queued or at work, or will go on by itself. */
  taskAtWork(id: ScheduleId): TaskId | undefined;
}

export interface Lease {
  owner: string;
  /** Milliseconds since the epoch. */
  until: number;
}

export const promptStates = ["queued", "sent", "taken", "removed"] as const;
export type PromptState = (typeof promptStates)[number];

export interface Attachment {
  id: AttachmentId;
  /** As in PromptAttachment. */
  name: string;
  mediaType: string;
  bytes: number;
}

export interface Prompt {
  id: PromptId;
  taskId: TaskId;
  person: string;
  text: string;
  state: PromptState;
  /** Given to the agent within a turn that ran. */
  now: boolean;
  attachments: Attachment[];
  createdAt: number;
}

export interface PromptStore {
  /** At the end of its task's queue, or before all that wait. Appends the event, too. */
  add(prompt: {
    id: PromptId;
    taskId: TaskId;
    /** Its name is empty where the appliance itself has something to say. */
    person: Pick<Person, "name">;
    text: string;
    attachments?: readonly Attachment[];
    first?: boolean;
  }): void;
  get(id: PromptId): Prompt | undefined;
  /** Those that wait stand in the order in which they are taken, behind all others, which stand in the order they were. */
  list(taskId: TaskId): Prompt[];
  nextQueued(taskId: TaskId): Prompt | undefined;
  mark(id: PromptId, state: PromptState): void;
  /** Of one that waits; whoever calls appends the event. */
  edit(id: PromptId, text: string): void;
  /** To this place among those that wait, from 1; a place beyond the last is the last. */
  place(id: PromptId, position: number): void;
  /** It is sent at once, within the turn that runs. */
  sendNow(id: PromptId): void;
  /** Sent at once, and not taken yet, in the order in which they were sent. */
  underway(taskId: TaskId): Prompt[];
}

/** The files of prompts; their bytes lie in the data folder. */
export interface AttachmentStore {
  add(attachment: Attachment & { person: PersonId }): void;
  get(id: AttachmentId): (Attachment & { person: PersonId; taskId: TaskId | undefined }) | undefined;
  /** Those of a person that no prompt has yet become the prompt's; `not_found` where one is not there. */
  claim(ids: readonly AttachmentId[], person: PersonId, taskId: TaskId): Attachment[];
  /** Uploaded before `time` (ms), and no prompt's. */
  unclaimed(time: number): AttachmentId[];
  ofTask(taskId: TaskId): AttachmentId[];
  remove(id: AttachmentId): void;
}

/** The state of a task after one of its turns. */
export interface Snapshot {
  taskId: TaskId;
  /** From 1, in the order of the task's turns; a roll back takes none away. */
  turn: number;
  promptId: PromptId;
  /** In the order of the task's repositories. */
  repositories: ({ commit: string; head: string } | null)[];
  /** Commit with the agent's conversation; empty where there is none. */
  session: string;
  at: number;
}

/** What a person on a machine of theirs may do for a short time, with a secret and nothing else. */
export interface Ticket {
  id: TicketId;
  person: Person;
  /** Of the task that it is about; of a hand-over, that it is to become. */
  taskId: TaskId;
  facts: TicketFacts;
  /** Milliseconds since the epoch. */
  expiresAt: number;
  /** When it was first used. */
  usedAt: number | undefined;
}

export type TicketFacts =
  /** To fetch the branch, the last files and the conversation of one task. */
  | ({ kind: "teleport" } & TeleportFacts)
  /** To hand over one conversation with its files; `repository` and `baseBranch` once they are known. */
  | ({ kind: "handover" } & HandoverFacts);

export interface HandoverFacts {
  environment: string;
  model: string;
  /** Where it goes on, once that is known. */
  place: { repository: string; baseBranch: string } | undefined;
}

export interface TicketStore {
  /** The secret is shown this once; its SHA-256 is kept. */
  create(input: Pick<Ticket, "taskId" | "facts" | "expiresAt"> & { id: TicketId; person: PersonId }): string;
  /** One that is good still. */
  find(secret: string): Ticket | undefined;
  update(id: TicketId, change: Partial<Pick<Ticket, "facts" | "expiresAt" | "usedAt">>): void;
  /** Of a person, good still. */
  count(person: PersonId): number;
  get(id: TicketId): Ticket | undefined;
  /** Those that are good no longer. */
  expired(): Ticket[];
  remove(id: TicketId): void;
}

export interface SnapshotStore {
  /** Its turn is the next one. */
  add(snapshot: Omit<Snapshot, "turn" | "at">): Snapshot;
  /** Of a turn that is there: what it left has been committed since. */
  replace(taskId: TaskId, turn: number, change: Pick<Snapshot, "repositories" | "session">): void;
  get(taskId: TaskId, turn: number): Snapshot | undefined;
  list(taskId: TaskId): Snapshot[];
  last(taskId: TaskId): Snapshot | undefined;
}

export interface EventStore {
  append(taskId: TaskId, event: ApplianceEvent): void;
  /**
   * Above `seq`, in order: none where there are none, else as many as `limit` and some MiB allow, so fewer than
   * `limit` does not mean that there are no more.
   */
  after(taskId: TaskId, seq: number, limit: number): TaskEvent[];
  /** The last ones below `seq`, in order, as many as `limit` and some MiB allow. */
  before(taskId: TaskId, seq: number, limit: number): TaskEvent[];
  count(taskId: TaskId, kind: TaskEvent["body"]["kind"]): number;
  /** All of some kinds, in order; for kinds of which a task has few. */
  ofKinds(taskId: TaskId, kinds: readonly TaskEvent["body"]["kind"][]): TaskEvent[];
  /** The newest of one kind, undefined where none is. */
  last(taskId: TaskId, kind: TaskEvent["body"]["kind"]): TaskEvent | undefined;
}

export interface SandboxRecord {
  id: SandboxId;
  taskId: TaskId;
  startedAt: number;
  endedAt: number | undefined;
  /** The highest event number held from the guest. */
  acked: number;
  /** Of all events held from it, with what each costs to keep. */
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
    change: Partial<Pick<SandboxRecord, "cursor" | "failure" | "startedAt" | "endedAt" | "objectFolders">>,
  ): void;
  setBusy(id: SandboxId, promptId: PromptId | undefined): void;
  /** See ControlPort.appendEvents. */
  appendEvents(id: SandboxId, events: SessionEvent[]): number;
  appendCommand(id: SandboxId, command: SessionCommandBody): void;
  commandsAfter(id: SandboxId, n: number, limit: number): SessionCommand[];
  /** The object folders of all sandboxes that have not ended. */
  borrowedFolders(): string[];
}

export interface UsageStore {
  /** `day`: as UsageFilter has it. */
  record(request: ModelRequest, day: string): void;
  /** The newest ones of a task, oldest first. */
  list(taskId: TaskId, limit: number): ModelRequest[];
  /** By day in order, else by what costs most. */
  sums(by: UsageBy, filter: UsageFilter, limit: number): UsageSum[];
  total(filter: UsageFilter): UsageTotals;
  /** In the order in which the turns began; what was used outside of any comes first. */
  turns(taskId: TaskId): (UsageTotals & { promptId: PromptId | undefined })[];
  /** Turns in which the model was asked. */
  countTurns(taskId: TaskId): number;
  hasAsked(taskId: TaskId, promptId: PromptId): boolean;
  /** Models that the task used when they had no price. */
  unpricedModels(taskId: TaskId): string[];
  /** What a person set for this task alone; what is left out is as the environment has it. */
  budgetOf(taskId: TaskId): Partial<TaskLimits>;
  setBudget(taskId: TaskId, limits: Partial<TaskLimits>): void;
}

export const usageBys = ["task", "person", "environment", "model", "day"] as const;
export type UsageBy = (typeof usageBys)[number];

export interface UsageFilter {
  /** Days such as `2026-11-21`, both included. */
  from?: string | undefined;
  to?: string | undefined;
  taskId?: TaskId | undefined;
  personId?: PersonId | undefined;
}

export interface UsageTotals extends TokenCounts {
  requests: number;
  /** Requests that used something which had no price; `costNano` is without them. */
  unpriced: number;
  costNano: number;
}

export interface UsageSum extends UsageTotals {
  /** The id of the task or person; the name of the rest. */
  key: string;
  /** The task's title, the person's name; empty where the task was deleted. */
  name: string;
}

/** Small settings made on the set-up page; values are encrypted at rest. */
export interface SettingStore {
  get(name: string): string | undefined;
  set(name: string, value: string): void;
  clear(name: string): void;
}

export interface EgressStore {
  ledger: EgressLedger;
  /** Newest first, with ids below `before`. */
  list(filter: EgressFilter & { before?: number; limit: number }): EgressRow[];
  /** Oldest first, with ids above `after`: for whoever follows. */
  after(id: number, filter: EgressFilter & { limit: number }): EgressRow[];
  /** Those of them that are there still, oldest first. */
  get(ids: readonly number[]): EgressRow[];
  /** The id of the newest entry; 0 where there is none. */
  lastId(): number;
  /** Goes through all entries that match, in portions, so that nothing waits for it. */
  stats(filter: Pick<EgressFilter, "taskId" | "since">): Promise<EgressStats>;
  /** Bytes that the sandbox has uploaded, as the ledger was told of them; to earlier server processes, too. */
  uploaded(sandboxId: SandboxId): number;
}

export interface AccessRequestStore {
  /** A new one, pending; or the one of the same task, host and port, pending again. */
  ask(request: { taskId: TaskId; host: string; port: number; reason: DenyCode }): AccessRequest;
  /** Refused once more: counted within a second, with the ledger's own writes. */
  repeat(id: number): void;
  get(id: number): AccessRequest | undefined;
  /** Newest first. */
  list(filter: { taskId?: TaskId; kinds?: readonly AccessState["kind"][]; limit: number }): AccessRequest[];
  /** What waits for a person, newest first; of each task the newest `perTask`, so that none hides another's. */
  waiting(perTask: number, limit: number): AccessRequest[];
  set(id: number, state: AccessState): void;
}
