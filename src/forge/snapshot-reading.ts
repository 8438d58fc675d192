import { existsSync } from "node:fs";
import { CcwError } from "../domain/errors.ts";
import type { TaskId } from "../domain/ids.ts";
import type { SnapshotPlace, SnapshotRange, SnapshotRepositories } from "../domain/snapshots.ts";
import { alternatesOf } from "./alternates.ts";
import { diffOf, leftAt, plainDiff } from "./changes.ts";
import { type Git, repositorySettings } from "./git.ts";
import { startGitProcess } from "./git-process.ts";

/** A page waits for no more than this. */
const countingMs = 10_000;
const idleMs = 5 * 60_000;

/** What people see of snapshots. All that a repository says of how it is to be shown runs nothing. */
export function createSnapshotReading(
  git: Git,
  placeOf: (taskId: TaskId, place: SnapshotPlace) => string,
): Pick<SnapshotRepositories, "holds" | "diff" | "filesChanged" | "baseOf" | "patch" | "archive"> {
  async function holds(
    taskId: TaskId,
    place: SnapshotPlace,
    commits: readonly string[],
  ): Promise<Set<string>> {
    const path = placeOf(taskId, place);
    const ids = commits.filter((commit) => objectId.test(commit));
    if (ids.length === 0 || !existsSync(path)) return new Set();
    const { stdout } = await git.must([`--git-dir=${path}`, "cat-file", "--batch-check"], {
      input: Buffer.from(`${ids.join("\n")}\n`),
    });
    const lines = Buffer.from(stdout).toString().split("\n");
    return new Set(lines.flatMap((line) => /^([0-9a-f]+) commit \d+$/.exec(line)?.[1] ?? []));
  }

  async function commitAt(folder: string, name: string): Promise<string | undefined> {
    const found = await git.run([`--git-dir=${folder}`, "rev-parse", "--verify", "--quiet", name]);
    return found.exitCode === 0 ? Buffer.from(found.stdout).toString().trim() : undefined;
  }

  async function baseOf(
    taskId: TaskId,
    index: number,
    branch: string,
    commit: string,
  ): Promise<string | undefined> {
    const path = placeOf(taskId, index);
    // The base branch stands where the objects are borrowed, as it was when it was last looked at.
    for (const lender of alternatesOf(path)) {
      const base = await commitAt(lender, `refs/heads/${branch}^{commit}`);
      if (base === undefined) continue;
      // What was checked out then is the first parent; behind the second one are earlier snapshots.
      for (const name of [`${commit}^1`, commit]) {
        const head = await commitAt(path, name);
        const left = head && (await leftAt(git, path, base, head));
        if (left !== undefined) return left;
      }
    }
    return undefined;
  }

  /** Both ends of a range, seen to be there. */
  async function endsOf({ taskId, index, from, to }: SnapshotRange): Promise<{ path: string; from: string }> {
    const wanted = "commit" in from ? [from.commit, to] : [to];
    const held = await holds(taskId, index, wanted);
    if (wanted.some((commit) => !held.has(commit))) throw notThere();
    const start = "commit" in from ? from.commit : await baseOf(taskId, index, from.branch, to);
    if (start === undefined) {
      throw new CcwError(
        "conflict",
        "The snapshot and the task's base branch have no commit in common, so there is nothing to compare with.",
        "Compare it with another turn.",
      );
    }
    return { path: placeOf(taskId, index), from: start };
  }

  /** What git writes, after it was seen to begin well. */
  async function outputOf(args: readonly string[], signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const child = startGitProcess({
      argv: [git.executable, ...args],
      environment: git.environment(repositorySettings),
      ...{ signal, idleMs, maxDrainBytes: 0 },
    });
    child.feed(undefined);
    const chunks = child.output();
    const first = await chunks.next();
    const end = async () => {
      const { exitCode, stderr, failure } = await child.ended;
      if (failure !== undefined) throw failure;
      if (exitCode !== 0) throw new Error(`git ended with exit code ${exitCode}: ${stderr.trim()}`);
    };
    if (first.done === true) await end();
    let next: IteratorResult<Uint8Array> | undefined = first;
    return new ReadableStream<Uint8Array>(
      {
        async pull(controller) {
          const { done, value } = next ?? (await chunks.next());
          next = undefined;
          if (done !== true) return controller.enqueue(value);
          await end();
          controller.close();
        },
        cancel: () => child.end(),
      },
      { highWaterMark: 0 },
    );
  }

  return {
    holds,
    baseOf,

    async diff(range, limits) {
      const { path, from } = await endsOf(range);
      return diffOf(git, path, from, range.to, limits);
    },

    async filesChanged(taskId, index, pairs) {
      const held = await holds(
        taskId,
        index,
        pairs.flatMap(({ from, to }) => [from, to]),
      );
      const known = pairs.filter(({ from, to }) => held.has(from) && held.has(to));
      if (known.length === 0) return pairs.map(() => undefined);
      // A commit, and what is to be taken for its parent (git-diff-tree(1), "--stdin").
      const input = Buffer.from(known.map(({ from, to }) => `${to} ${from}\n`).join(""));
      const counting = ["diff-tree", "--stdin", "-r", "--shortstat", "--no-renames", "--always"];
      const counted = await git
        .must([`--git-dir=${placeOf(taskId, index)}`, ...counting], { input, timeoutMs: countingMs })
        .then(
          ({ stdout }) => countsIn(Buffer.from(stdout).toString()),
          () => undefined,
        );
      const counts = known.map((pair, at) => [pair, counted?.[at]] as const);
      return pairs.map((pair) => counts.find(([each]) => each === pair)?.[1]);
    },

    async patch(range, signal) {
      const { path, from } = await endsOf(range);
      const diff = [...plainDiff, "--binary", "--full-index", "--end-of-options", from, range.to, "--"];
      return outputOf([`--git-dir=${path}`, "diff", ...diff], signal);
    },

    async archive({ taskId, index, commit, format, name }, signal) {
      if (!(await holds(taskId, index, [commit])).has(commit)) throw notThere();
      const archive = ["archive", `--format=${format}`, `--prefix=${name}/`, commit];
      return outputOf([`--git-dir=${placeOf(taskId, index)}`, ...archive], signal);
    },
  };
}

const objectId = /^([0-9a-f]{40}|[0-9a-f]{64})$/;

/** For each commit a line with its name, and where something differs another: ` 3 files changed, …`. */
function countsIn(text: string): number[] {
  const counts: number[] = [];
  for (const line of text.split("\n")) {
    if (objectId.test(line)) counts.push(0);
    const changed = /^ (\d+) files? changed/.exec(line)?.[1];
    if (changed !== undefined && counts.length > 0) counts[counts.length - 1] = Number(changed);
  }
  return counts;
}

const notThere = () =>
  new CcwError(
    "not_found",
    "The appliance does not have this snapshot, or not any more.",
    "`ccw-server task turns TASK` shows those there are.",
  );
