import type { GitEndpoint, PushRight } from "./git-server.ts";
import type { AttachmentId, PromptId, SandboxId, TaskId } from "./ids.ts";
import type { LfsEndpoint } from "./lfs.ts";
import type { MeteredRequest, ModelApi, ModelEndpoint } from "./model.ts";
import type { PushCommand } from "./push-policy.ts";
import type { Commit } from "./repository.ts";
import type { SessionCommand, SessionEvent, SessionStart } from "./session.ts";
import type { Task } from "./task.ts";

/**
 * What the doors need of the rest of the house. A door knows its sandbox's id and nothing else; everything that
 * it may do follows from these. A sandbox that is unknown or ended gets `undefined` or a CcwError: fail closed.
 */

export interface ControlPort {
  start(sandboxId: SandboxId): Promise<SessionStart | undefined>;
  /**
   * Appends events numbered right after the last acknowledged one, in one transaction, and skips those held
   * already. Returns the last number held. Throws `conflict` on a gap.
   */
  appendEvents(sandboxId: SandboxId, events: SessionEvent[]): number;
  /** Commands with a number above `after`, in order; ends when the session or the signal does. */
  commands(sandboxId: SandboxId, after: number, signal: AbortSignal): AsyncIterable<SessionCommand>;
  /** The file of an attachment of this sandbox's own task, and of no other; undefined where there is none. */
  attachment(sandboxId: SandboxId, id: string): Promise<StoredFile | undefined>;
}

/** A file on this machine that is whole. */
export interface StoredFile {
  path: string;
  bytes: number;
}

/** The bytes of attachments, each in a file named by its id. What is in there is whole. */
export interface AttachmentFiles {
  /** Of the largest attachment that is taken. */
  maxBytes: number;
  /**
   * Takes a file in, once all of it has come; its media type is what the bytes say. `announced`: its length, where it
   * is known. Rejects with `too_large`, `no_space`, or `invalid` for what was cut off, and leaves nothing then.
   */
  take(
    id: AttachmentId,
    body: AsyncIterable<Uint8Array>,
    announced?: number,
  ): Promise<{ bytes: number; mediaType: string }>;
  find(id: AttachmentId): Promise<StoredFile | undefined>;
  list(): Promise<AttachmentId[]>;
  remove(id: AttachmentId): Promise<void>;
}

export interface ModelPort {
  /** Undefined while no model of that API is set up, or when the sandbox's task may not use one. */
  endpointFor(sandboxId: SandboxId, api: ModelApi): ModelEndpoint | undefined;
  /**
   * Whether one more request of this size (bytes) may be made now, by budgets and the account's usage limit. Asked before
   * each that costs.
   */
  admit(sandboxId: SandboxId, bytes: number): Admission;
  /** Prices it and appends one row. */
  record(request: MeteredRequest): void;
  /** The endpoint said that its account has used what it may. */
  limited(sandboxId: SandboxId, limit: UsageLimit): void;
}

export type Admission =
  /** `promptId`: whose turn runs now. `settle`: to be called once, when the request is over and was recorded. */
  | { kind: "pass"; promptId: PromptId | undefined; settle?: (() => void) | undefined }
  /** Passes, and the agent is told this: it has a few requests left to come to an end. */
  | { kind: "tell"; promptId: PromptId | undefined; text: string; settle?: (() => void) | undefined }
  /** A budget has no room beside those that are under way: to be asked again after `changed`. */
  | { kind: "wait"; changed: Promise<void> }
  /** The task is being paused; the reason in the words of the Messages API's errors. */
  | { kind: "park"; status: 400 | 429; reason: string };

/** Of the account behind the model endpoint. */
export interface UsageLimit {
  /** Milliseconds since the epoch. */
  until: number;
  /** It holds for the model of that request alone. */
  ofModel: boolean;
}

/** A repository that a sandbox may reach, and what it may push there. */
export interface GitGrant {
  name: string;
  right: PushRight;
  endpoint: GitEndpoint;
  /** Undefined where the repository has no LFS. */
  lfs?: LfsEndpoint | undefined;
  /** For the one push after a roll back; undefined where there is none to be made. */
  rewrite?: RewriteOnce | undefined;
}

/** A right to rewrite a branch that ends with the first push of it that is taken. */
export interface RewriteOnce {
  /**
   * Called before a push goes on that would report how it went. Undefined where this one may not rewrite; else it may,
   * and what is returned is called once at its end: `taken` where the repository's server said so.
   */
  begin(update: Pick<PushCommand, "oldId" | "newId">): ((taken: boolean) => void) | undefined;
}

export interface GitPort {
  /** By the name that stands in the request's path, byte for byte. */
  grantFor(sandboxId: SandboxId, name: string): GitGrant | undefined;
  /** Called after a push was refused, so that the transcript shows it too. */
  refused(sandboxId: SandboxId, repository: string, ref: string, reason: string): void;
}

/** Repositories as submitting, running and reviewing a task need them, wherever they live. */
export interface RepositoryHost {
  /** How git reaches it: the appliance's own programs, or the forge with the real credential. */
  endpointOf(name: string): GitEndpoint;
  /** Makes an empty repository; `conflict` where the name is taken. */
  create(name: string, options: { defaultBranch: string }): Promise<unknown>;
  /** As they are now; of a remote repository as its forge lists them, and nothing is fetched. */
  branches(name: string): Promise<{ name: string; commit: string }[]>;
  /** Whether this machine has its objects, so that `objectsOf` only brings them up to date. */
  isHere(name: string): boolean;
  /**
   * The bare repository on this machine whose objects a sandbox may borrow, read-only: the hosted one, or the mirror,
   * brought up to date first. It stays as it is for as long as a sandbox names it.
   */
  objectsOf(name: string, signal: AbortSignal): Promise<string>;
  /** What `branch` changed since it left `base`, as a unified diff of at most `maxPatchBytes`. */
  diff(
    name: string,
    base: string,
    branch: string,
    limits: { maxPatchBytes: number },
  ): Promise<{ patch: string; patchTruncated: boolean }>;
  /** The commits of `branch` that `base` lacks, newest first. */
  commits(name: string, base: string, branch: string, limit: number): Promise<Commit[]>;
  /** The first of these files that the branch has, where it is a short text; undefined where it has none. */
  fileOf(name: string, branch: string, paths: readonly string[]): Promise<string | undefined>;
  /** Merges one branch into another; nothing changes but where it says `merged`. */
  merge(name: string, request: MergeRequest): Promise<MergeOutcome>;
}

/** Commits of tasks which a forge did not take, on this machine until it does: a task's end must not lose them. */
export interface KeptWork {
  /** Where a sandbox pushes them; `objects`: the bare repository that it borrows from. */
  endpointOf(taskId: TaskId, repository: string, objects: string | undefined): GitEndpoint;
  /** Pushes them to the forge and forgets them then: their last commit; undefined where none are kept. Rejects with a CcwError. */
  push(
    taskId: TaskId,
    repository: string,
    to: { workBranch: string; branch: string },
    signal: AbortSignal,
  ): Promise<string | undefined>;
  /** What is kept of a task that is over. */
  of(task: Pick<Task, "id" | "repositories" | "updatedAt">): KeptBranch[];
  /** Tasks of which something may be kept; `of` says. */
  tasks(): TaskId[];
  /** Removes what is kept, but for what is being pushed just now: false then. */
  remove(taskId: TaskId, repository: string): Promise<boolean>;
}

/** A task's own branch as its forge does not have it. */
export interface KeptBranch {
  repository: string;
  branch: string;
  commit: string;
  /** Milliseconds since the epoch, from when on it may be removed; undefined where it stays until it is pushed. */
  until: number | undefined;
}

/** Something outside the database that belongs to tasks: files, repositories. */
export interface TaskBelongings {
  /** All of one task; that there is nothing, or nothing any more, is success: it is asked again after a crash. */
  remove(taskId: TaskId): Promise<void>;
}

export interface MergeRequest {
  base: string;
  head: string;
  /** What `head` has to point at: the commit that a person has looked at. */
  headCommit: string;
  /** Subject, and below an empty line more. */
  message: string;
  author: { name: string; email: string };
}

export type MergeOutcome =
  | { kind: "merged"; commit: string }
  /** `base` has all of it already. */
  | { kind: "contained" }
  | { kind: "conflicts"; files: string[] }
  /** `head` points at this commit instead. */
  | { kind: "moved"; headCommit: string };

/** Scoped credentials: derived, not stored; each is good for one purpose at one sandbox's socket. */
export interface ScopedTokens {
  tokenFor(sandboxId: SandboxId, purpose: "model" | "git"): string;
  /** Constant time. */
  matches(sandboxId: SandboxId, purpose: "model" | "git", token: string): boolean;
}

export interface DoorKeeper {
  /** Listens at the sandbox's socket; repeated calls are one. Returns the folder to mount. */
  open(sandboxId: SandboxId, taskId: TaskId): Promise<string>;
  /**
   * Repeated calls are one; a door that a dead server left behind is cleared away, too. Its folder goes with it: a sandbox
   * that runs never finds another one, and has to sleep or be gone before.
   */
  close(sandboxId: SandboxId): Promise<void>;
  /** Every sandbox that has a folder, whether its door is open or was left by a dead server. */
  list(): Promise<SandboxId[]>;
}

/** One JSON line a record, on standard error. Values are cut and their control characters escaped. */
export interface Log {
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}
export type LogFields = Record<string, string | number | boolean | undefined>;
