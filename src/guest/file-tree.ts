import { copyFileSync, existsSync, lstatSync, renameSync, rmSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { bytesText } from "../domain/amounts.ts";
import { isOfNoSpace, saysNoSpace } from "../domain/disk.ts";
import { CcwError } from "../domain/errors.ts";
import { mustGit, type RunGit } from "./git-process.ts";

export interface FileTree {
  git: RunGit;
  /** The files that are taken lie here. */
  folder: string;
  gitDir: string;
  /** An index of our own: what it knows of files that have not changed saves reading them. */
  index: string;
  /** The first time it is a copy of this one or, where that is not there, made from what is checked out. */
  seed?: string;
  /** Only these, relative to the folder; all where there are none. */
  only?: readonly string[];
  env: Record<string, string>;
  /** Files that git ignores, too. */
  ignored: boolean;
  /** What is left out, in words that are worth saying once. */
  leftOut: (words: string) => void;
  signal: AbortSignal;
}

/** A larger file is left out: it would be read at the end of many turns, and kept for each. */
const maxFileBytes = 100 * 1024 ** 2;
/** What one snapshot may add. */
const maxNewBytes = 1024 ** 3;
const maxBadPaths = 20;

/**
 * The files of a folder as a tree in `gitDir`, with nothing else of that repository touched: no index, no branch, no
 * hook; and no filter either, so that what a filter would keep elsewhere, such as Git LFS, is in the tree itself.
 * Throws what git says where that cannot be done.
 */
export async function treeOfFiles(of: FileTree): Promise<string> {
  try {
    return await writeTree(of);
  } catch (thrown) {
    of.signal.throwIfAborted();
    if (isOfNoSpace(thrown)) throw thrown;
    // An index that speaks of objects which are gone, or that cannot be read: once more, from the beginning.
    rmSync(of.index, { force: true });
    rmSync(`${of.index}.lock`, { force: true });
    try {
      return await writeTree(of);
    } catch (again) {
      of.signal.throwIfAborted();
      rmSync(of.index, { force: true });
      if (of.seed === undefined) throw again;
      return await writeTree({ ...of, seed: "" }).catch(() => {
        throw thrown;
      });
    }
  }
}

async function writeTree(of: FileTree): Promise<string> {
  const { git, folder, index, seed, signal } = of;
  rmSync(`${index}.lock`, { force: true });
  const env = {
    ...of.env,
    GIT_DIR: of.gitDir,
    GIT_WORK_TREE: folder,
    GIT_INDEX_FILE: index,
    GIT_LITERAL_PATHSPECS: "1",
  };
  const call = { cwd: folder, env, signal };
  const plain = await withoutFilters(of, env);
  if (!existsSync(index) && seed !== undefined) {
    if (existsSync(seed)) {
      const { atime, mtime } = statSync(seed);
      copyFileSync(seed, `${index}.new`);
      // Of what was changed in the second of its index git looks at the bytes, and not elsewhere (git's racy-git.txt).
      utimesSync(`${index}.new`, atime, mtime);
      renameSync(`${index}.new`, index);
    } else await mustGit(git([...plain, "read-tree", "HEAD"], call), "What is checked out could not be read");
  }
  const changed = await changedPaths(of, env, plain);
  let paths = changed;
  for (let round = 0; paths.length > 0; round++) {
    const input = Buffer.from(paths.map((path) => `${path}\0`).join(""), "latin1");
    const args = [...plain, "update-index", "--add", "--remove", "--replace", "-z", "--stdin"];
    const { code, err } = await git(args, { ...call, input });
    if (code === 0) break;
    // Else files would be left out for want of room.
    if (saysNoSpace(err)) throw new CcwError("no_space", err.slice(-1000));
    const bad = /Unable to process path (.+)$/m.exec(err)?.[1];
    const rest = paths.filter((path) => Buffer.from(path, "latin1").toString("utf8") !== bad);
    if (bad === undefined || rest.length === paths.length || round >= maxBadPaths)
      throw new CcwError("unavailable", err.slice(-1000));
    of.leftOut(`${bad} could not be read`);
    paths = rest;
  }
  return mustGit(git([...plain, "write-tree"], call), "The files could not be written down");
}

/** Names as bytes, in latin1: git takes them as they are. */
async function changedPaths(
  of: FileTree,
  env: Record<string, string>,
  plain: readonly string[],
): Promise<string[]> {
  const { git, folder, only = [], ignored, leftOut, signal } = of;
  const exclude = ignored ? [] : ["--exclude-standard"];
  const args = [...plain, "ls-files", "-z", "--modified", "--others", ...exclude, "--", ...only];
  const { code, out, err } = await git(args, { cwd: folder, env, signal });
  if (code !== 0) throw new CcwError("unavailable", err.slice(-1000));
  const seen = new Set<string>();
  let bytes = 0;
  for (const path of out.toString("latin1").split("\0")) {
    if (path === "" || seen.has(path)) continue;
    const words = Buffer.from(path, "latin1").toString("utf8");
    // A repository of its own inside this one, which git takes as one thing.
    if (path.endsWith("/")) {
      leftOut(`${words} is a repository of its own`);
      continue;
    }
    const size = sizeOf(Buffer.concat([Buffer.from(`${folder}/`), Buffer.from(path, "latin1")]));
    if (size > maxFileBytes) {
      leftOut(`${words} is over ${bytesText(maxFileBytes)}`);
      continue;
    }
    if (bytes + size > maxNewBytes) {
      leftOut(`what is over ${bytesText(maxNewBytes)} in sum`);
      continue;
    }
    bytes += size;
    seen.add(path);
  }
  return [...seen];
}

/** A path that is gone has no size: its removal is taken. */
function sizeOf(path: Buffer): number {
  try {
    return lstatSync(path).size;
  } catch {
    return 0;
  }
}

/** Options that switch off what git's configuration would do to files, or in their stead. */
async function withoutFilters(
  { git, folder, signal }: FileTree,
  env: Record<string, string>,
): Promise<string[]> {
  const argv = [
    "config",
    "-z",
    "--name-only",
    "--get-regexp",
    "^filter\\..*\\.(clean|smudge|process|required)$",
  ];
  const { out } = await git(argv, { cwd: folder, env, signal });
  const names = out.toString("utf8").split("\0");
  const filters = names.flatMap((name) =>
    name === "" ? [] : ["-c", name.endsWith(".required") ? `${name}=false` : `${name}=`],
  );
  return [...quietly, "-c", "core.safecrlf=false", ...filters];
}

/** Without hooks, signatures, and housekeeping. */
export const quietly: readonly string[] = [
  ...["-c", "core.hooksPath=/dev/null"],
  ...["-c", "commit.gpgSign=false"],
  ...["-c", "core.fsmonitor=false"],
  ...["-c", "gc.auto=0"],
  ...["-c", "maintenance.auto=false"],
];

export const indexIn = (gitDir: string): string => join(gitDir, "ccw-snapshot-index");
