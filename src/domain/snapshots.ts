import type { GitEndpoint } from "./git-server.ts";
import type { TaskId } from "./ids.ts";

/** Of a task: its repository of this index, or the agent's conversation. */
export type SnapshotPlace = number | "session";

/** What lies between two snapshots of one repository of a task, or between its base branch and one. */
export interface SnapshotRange {
  taskId: TaskId;
  /** Of the task's repository. */
  index: number;
  /** A snapshot's commit; `branch`: where the work left that branch. */
  from: { commit: string } | { branch: string };
  /** A snapshot's commit. */
  to: string;
}

/** Stands for what a forked task began with, among its turns. */
export const forkedTurn = 0;

export const turnInWords = (turn: number): string =>
  turn === forkedTurn ? "what it was forked from" : `turn ${turn}`;

export const archiveFormats = ["tar.gz", "zip"] as const;
export type ArchiveFormat = (typeof archiveFormats)[number];

/**
 * The commits of snapshots, in bare repositories of one task alone. What a sandbox says of them is its own word: whoever
 * means to make something of a commit asks `holds` first. The rest rejects with `not_found` where it is not there.
 */
export interface SnapshotRepositories {
  /** Where a sandbox pushes and fetches them. `objects`: the bare repository that it borrows from, undefined for none. */
  endpointOf(taskId: TaskId, place: SnapshotPlace, objects: string | undefined): GitEndpoint;
  /** Those of these object ids that are commits, and are there. */
  holds(taskId: TaskId, place: SnapshotPlace, commits: readonly string[]): Promise<Set<string>>;
  /** A unified diff of at most `maxPatchBytes`. */
  diff(
    range: SnapshotRange,
    limits: { maxPatchBytes: number },
  ): Promise<{ patch: string; patchTruncated: boolean }>;
  /** How many files differ, for each pair; undefined where it cannot be said, or not in good time. */
  filesChanged(
    taskId: TaskId,
    index: number,
    pairs: readonly { from: string; to: string }[],
  ): Promise<(number | undefined)[]>;
  /** Where the work in this commit left the branch; undefined where they have nothing in common. */
  baseOf(taskId: TaskId, index: number, branch: string, commit: string): Promise<string | undefined>;
  /** For `git apply`, binary files included; of any size. */
  patch(range: SnapshotRange, signal: AbortSignal): Promise<ReadableStream<Uint8Array>>;
  /** All files of a snapshot below the folder `name`; of any size. */
  archive(
    snapshot: { taskId: TaskId; index: number; commit: string; format: ArchiveFormat; name: string },
    signal: AbortSignal,
  ): Promise<ReadableStream<Uint8Array>>;
  /** Gives a task that has none these commits of another one, and whatever they are made of. */
  copy(from: TaskId, to: TaskId, commits: readonly { place: SnapshotPlace; commit: string }[]): Promise<void>;
  /** The bare repository on this machine; undefined where the task has none. */
  folderOf(taskId: TaskId, place: SnapshotPlace): string | undefined;
  /** All of a task; one that has none is success. */
  remove(taskId: TaskId): Promise<void>;
  /** The tasks that have some. */
  tasks(): TaskId[];
}
