import { CcwError } from "../domain/errors.ts";
import type { TaskId } from "../domain/ids.ts";
import { forkedTurn, type SnapshotRange, type SnapshotRepositories } from "../domain/snapshots.ts";
import type { Snapshot } from "../domain/store/snapshots.ts";
import type { Store } from "../domain/store.ts";
import { titleOf } from "../domain/task.ts";
import { existing } from "./submit.ts";

/** What people see of a task's snapshots. */
interface Context {
  store: Store;
  snapshots: SnapshotRepositories;
}

export interface Turn {
  turn: number;
  at: number;
  promptId: string;
  /** The first line of its prompt. */
  prompt: string;
  /** The turn whose work it went on with; `forkedTurn` for another task's, undefined for the base branches. */
  previous: number | undefined;
  /** How many files it changed; undefined where that cannot be said. */
  files: number | undefined;
  /** Whether its files are there still. */
  kept: boolean;
}

/** The newest are counted; a task with more turns is rare, and each costs git's time. */
const maxCounted = 200;

/** Newest last. */
export async function turnsOf({ store, snapshots }: Context, taskId: TaskId): Promise<Turn[]> {
  const task = existing(store, taskId);
  const all = store.snapshots.list(taskId);
  const previous = previousOf(store, taskId, all);
  const counted = all.slice(-maxCounted);
  const files = new Map<number, number | undefined>();
  const kept = new Set<number>();
  for (const [index, { baseBranch }] of task.repositories.entries()) {
    const commits = counted.flatMap(({ repositories }) => repositories[index]?.commit ?? []);
    const held = await snapshots.holds(taskId, index, commits);
    const pairs: { turn: number; from: string; to: string }[] = [];
    for (const { turn, repositories } of counted) {
      const to = repositories[index]?.commit;
      if (to === undefined || !held.has(to)) continue;
      kept.add(turn);
      const before = previous.get(turn);
      const from =
        before === undefined
          ? await snapshots.baseOf(taskId, index, baseBranch, to)
          : commitOf(store, taskId, before, index);
      if (from !== undefined) pairs.push({ turn, from, to });
    }
    const counts = await snapshots.filesChanged(taskId, index, pairs);
    for (const [at, { turn }] of pairs.entries()) {
      const count = counts[at];
      if (count !== undefined) files.set(turn, (files.get(turn) ?? 0) + count);
    }
  }
  const prompts = new Map(store.prompts.list(taskId).map(({ id, text }) => [id, titleOf(text)]));
  return all.map(({ turn, at, promptId, repositories }) => ({
    ...{ turn, at, promptId },
    prompt: prompts.get(promptId) ?? "",
    previous: previous.get(turn),
    files: repositories.length === 0 ? 0 : files.get(turn),
    kept: repositories.length === 0 || kept.has(turn),
  }));
}

/** Of each turn the one before it, or the one that the task was rolled back to meanwhile. */
function previousOf(store: Store, taskId: TaskId, all: readonly Snapshot[]): Map<number, number> {
  const back = store.events.ofKinds(taskId, ["rolled_back"]);
  const previous = new Map<number, number>();
  for (const [index, { turn, at }] of all.entries()) {
    const before = all[index - 1];
    if (before === undefined) {
      if (forkOf(store, taskId) !== undefined) previous.set(turn, forkedTurn);
      continue;
    }
    const last = back.findLast((event) => event.at >= before.at && event.at <= at);
    previous.set(turn, last?.body.kind === "rolled_back" ? last.body.turn : before.turn);
  }
  return previous;
}

export interface TurnDiff {
  repository: string;
  /** Whether there is a snapshot of it on both sides. */
  kept: boolean;
  diff: string;
  truncated: boolean;
}

/** What lies between two turns, or between the base branch and a turn, in each repository of the task. */
export async function diffOfTurn(
  { store, snapshots }: Context,
  { taskId, turn, from }: { taskId: TaskId; turn: number; from: number | undefined },
  limits: { maxPatchBytes: number },
): Promise<TurnDiff[]> {
  const diffs: TurnDiff[] = [];
  for (const [index, { name }] of existing(store, taskId).repositories.entries()) {
    const range = rangeOf(store, { taskId, turn, from, index });
    const found = range && (await snapshots.diff(range, limits).catch(unlessGone));
    diffs.push({
      repository: name,
      kept: found !== undefined,
      diff: found?.patch ?? "",
      truncated: found?.patchTruncated ?? false,
    });
  }
  return diffs;
}

function unlessGone(thrown: unknown): undefined {
  if (thrown instanceof CcwError && thrown.code === "not_found") return undefined;
  throw thrown;
}

/** Undefined where one of the two turns has no snapshot of this repository; `not_found` where there is no such turn. */
export function rangeOf(
  store: Store,
  { taskId, turn, from, index }: { taskId: TaskId; turn: number; from: number | undefined; index: number },
): SnapshotRange | undefined {
  const branch = existing(store, taskId).repositories[index]?.baseBranch;
  const to = commitOf(store, taskId, turn, index);
  const start = from === undefined ? undefined : commitOf(store, taskId, from, index);
  if (to === undefined || branch === undefined) return undefined;
  if (from === undefined) return { taskId, index, from: { branch }, to };
  return start === undefined ? undefined : { taskId, index, from: { commit: start }, to };
}

/** Of one of its repositories, after this turn or, with `forkedTurn`, as it began; `not_found` where there is no such turn. */
function commitOf(store: Store, taskId: TaskId, turn: number, index: number): string | undefined {
  if (turn !== forkedTurn) return snapshotOf(store, taskId, turn).repositories[index]?.commit;
  const fork = forkOf(store, existing(store, taskId).id);
  if (fork === undefined) throw new CcwError("not_found", "The task was not forked from another one.");
  return fork.commits[index] ?? undefined;
}

function forkOf(store: Store, taskId: TaskId) {
  const body = store.events.last(taskId, "forked")?.body;
  return body?.kind === "forked" ? body : undefined;
}

export function snapshotOf(store: Store, taskId: TaskId, turn: number): Snapshot {
  const snapshot = store.snapshots.get(existing(store, taskId).id, turn);
  if (snapshot !== undefined) return snapshot;
  throw new CcwError(
    "not_found",
    `The task has no snapshot of a turn ${turn}.`,
    "`ccw-server task turns TASK` shows those there are.",
  );
}

/** The index of the repository of this name; without a name that of the only one. */
export function repositoryIndexOf(store: Store, taskId: TaskId, name: string | undefined): number {
  const names = existing(store, taskId).repositories.map((repository) => repository.name);
  const index = name === undefined ? (names.length === 1 ? 0 : -1) : names.indexOf(name);
  if (index !== -1) return index;
  if (names.length === 0) throw new CcwError("not_found", "The task has no repository.");
  throw new CcwError(
    name === undefined ? "invalid" : "not_found",
    name === undefined
      ? "The task has several repositories: say which one."
      : `The task has no repository ${JSON.stringify(name.slice(0, 100))}.`,
    `It has: ${names.join(", ")}.`,
  );
}
