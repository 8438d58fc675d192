import { CcwError } from "../domain/errors.ts";
import type { Commit } from "../domain/repository.ts";
import type { Git } from "./git.ts";

/** What a branch did, for people to read: files, a unified diff, commits. All of it is bounded. */

export interface FileChange {
  path: string;
  /** The path before, where the file was moved. */
  oldPath?: string;
  /** Lines; undefined for a binary file. */
  lines: { added: number; removed: number } | undefined;
}

export interface Changes {
  /** Where the branch left its base, and where it is now. */
  from: string;
  to: string;
  files: FileChange[];
  /** A unified diff as git writes it, cut after `maxPatchBytes`. */
  patch: string;
  patchTruncated: boolean;
  filesTruncated: boolean;
}

export interface DiffLimits {
  /** Default 2 MiB. */
  maxPatchBytes: number;
  /** Default 5000. */
  maxFiles: number;
}

/** Neither a program nor a colour that a config or an attribute names. */
export const plainDiff = ["--no-ext-diff", "--no-textconv", "--no-color", "--find-renames"];

export async function diffBetween(
  git: Git,
  folder: string,
  base: string,
  tip: string,
  limits: Partial<DiffLimits> = {},
): Promise<Changes> {
  const from = await leftAt(git, folder, base, tip);
  if (from !== undefined) return diffOf(git, folder, from, tip, limits);
  throw new CcwError(
    "conflict",
    "The two branches have no commit in common, so there is nothing to compare with.",
    "Start the work from a commit of the base branch.",
  );
}

/** From one commit to another, whatever the two have in common. */
export async function diffOf(
  git: Git,
  folder: string,
  from: string,
  tip: string,
  { maxPatchBytes = 2 * 1024 ** 2, maxFiles = 5000 }: Partial<DiffLimits> = {},
): Promise<Changes> {
  const diff = (kind: string[], maxBytes: number) =>
    git.must([`--git-dir=${folder}`, "diff", ...plainDiff, ...kind, "--end-of-options", from, tip, "--"], {
      maxBytes,
    });
  const [stat, patch] = await Promise.all([
    diff(["--numstat", "-z"], maxFiles * 512),
    diff(["--patch"], maxPatchBytes),
  ]);
  const files = parseNumstat(Buffer.from(stat.stdout).toString(), stat.truncated);
  return {
    from,
    to: tip,
    files: files.slice(0, maxFiles),
    filesTruncated: stat.truncated || files.length > maxFiles,
    patch: wholeText(patch.stdout, patch.truncated),
    patchTruncated: patch.truncated,
  };
}

export async function commitsBetween(
  git: Git,
  folder: string,
  base: string,
  tip: string,
  limit: number,
): Promise<Commit[]> {
  const { stdout } = await git.must([
    `--git-dir=${folder}`,
    "log",
    "-z",
    "--no-show-signature",
    "--no-color",
    "--encoding=UTF-8",
    "--format=%H%x00%an%x00%ae%x00%at%x00%s",
    `--max-count=${limit}`,
    "--end-of-options",
    `${base}..${tip}`,
    "--",
  ]);
  const fields = Buffer.from(stdout).toString().split("\0");
  const commits: Commit[] = [];
  for (let at = 0; at + 4 < fields.length; at += 5) {
    const [id = "", name = "", email = "", seconds = "", subject = ""] = fields.slice(at, at + 5);
    commits.push({ id, author: { name, email }, at: Number(seconds) * 1000, subject });
  }
  return commits;
}

/** So far back a merge is looked for. */
const maxMerges = 2000;

/**
 * Where the tip left its base; undefined where the two have nothing in common. Of what a merge commit has brought into the
 * base since, by itself or within something longer: where it left it before that.
 */
export async function leftAt(
  git: Git,
  folder: string,
  base: string,
  tip: string,
): Promise<string | undefined> {
  const from = await mergeBase(git, folder, base, tip);
  if (from !== tip) return from;
  const options = ["--first-parent", "--merges", "--parents", `--max-count=${maxMerges}`];
  const range = ["--end-of-options", `${tip}..${base}`, "--"];
  const { stdout } = await git.must([`--git-dir=${folder}`, "rev-list", ...options, ...range]);
  // The newest first: those that have the tip in come before those that have not. Halving finds where that ends.
  const merges = Buffer.from(stdout).toString().split("\n").filter(Boolean);
  let [having, end] = [0, merges.length];
  while (having < end) {
    const middle = (having + end) >> 1;
    const [merge = ""] = merges[middle]?.split(" ") ?? [];
    const asked = await git.run([`--git-dir=${folder}`, "merge-base", "--is-ancestor", tip, merge]);
    if (asked.exitCode === 0) having = middle + 1;
    else end = middle;
  }
  const [, before] = merges[having - 1]?.split(" ") ?? [];
  return before === undefined ? from : mergeBase(git, folder, before, tip);
}

async function mergeBase(git: Git, folder: string, base: string, tip: string): Promise<string | undefined> {
  const { exitCode, stdout } = await git.run([`--git-dir=${folder}`, "merge-base", "--", base, tip]);
  return exitCode === 0 ? Buffer.from(stdout).toString().trim() : undefined;
}

/** `added TAB removed TAB path NUL`, or `added TAB removed TAB NUL old NUL new NUL` for a moved file. */
function parseNumstat(text: string, truncated: boolean): FileChange[] {
  const parts = text.split("\0");
  // Behind the last NUL there is nothing, or what the limit cut through.
  parts.pop();
  const files: FileChange[] = [];
  while (parts.length > 0) {
    const match = /^(\d+|-)\t(\d+|-)\t(.*)$/s.exec(parts.shift() ?? "");
    if (match === null) break;
    const [, added = "-", removed = "-", path = ""] = match;
    const lines = added === "-" ? undefined : { added: Number(added), removed: Number(removed) };
    if (path !== "") {
      files.push({ path, lines });
      continue;
    }
    const oldPath = parts.shift();
    const newPath = parts.shift();
    if (oldPath === undefined || newPath === undefined) break;
    files.push({ path: newPath, oldPath, lines });
  }
  if (parts.length > 0 && !truncated) throw new Error("git's list of changed files could not be read");
  return files;
}

/** Bytes cut anywhere, as text without half a character at its end. */
function wholeText(bytes: Uint8Array, truncated: boolean): string {
  return new TextDecoder().decode(bytes, { stream: truncated });
}
