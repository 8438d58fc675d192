import { CcwError } from "../domain/errors.ts";
import type { MergeOutcome, MergeRequest } from "../domain/ports.ts";
import { parseBranchName } from "../domain/repository.ts";
import { findTip } from "./branches.ts";
import type { Git } from "./git.ts";

/** Somebody else may push to the base at the same time; the merge is made anew from where it is then. */
const maxTries = 5;
const maxConflicts = 100;

/** Merges in a bare repository, without a checkout. The base moves at the very end, if it is still where it was. */
export async function mergeBranches(git: Git, folder: string, request: MergeRequest): Promise<MergeOutcome> {
  for (let attempt = 1; ; attempt++) {
    const outcome = await tryMerge(git, folder, request);
    if (outcome !== undefined) return outcome;
    if (attempt === maxTries) {
      throw new CcwError(
        "conflict",
        `The branch ${request.base} was pushed to again and again while the merge was made.`,
        "Try again.",
      );
    }
  }
}

/** Undefined where the base moved meanwhile. */
async function tryMerge(git: Git, folder: string, request: MergeRequest): Promise<MergeOutcome | undefined> {
  const { base, head, headCommit, message, author } = request;
  const place = `--git-dir=${folder}`;
  const [from, to] = [await tipOf(git, folder, head), await tipOf(git, folder, base)];
  if (from !== headCommit) return { kind: "moved", headCommit: from };
  const contained = await git.run([place, "merge-base", "--is-ancestor", from, to]);
  if (contained.exitCode === 0) return { kind: "contained" };

  const options = ["--write-tree", "-z", "--name-only", "--no-messages"];
  const tree = await git.run([place, "merge-tree", ...options, "--end-of-options", to, from]);
  const [id = "", ...files] = Buffer.from(tree.stdout).toString().split("\0").filter(Boolean);
  if (tree.exitCode === 1) return { kind: "conflicts", files: files.slice(0, maxConflicts) };
  if (tree.exitCode !== 0) {
    throw new CcwError(
      "conflict",
      `${head} cannot be merged into ${base}: ${tree.stderr.trim()}`,
      "Merge the branches in a checkout and push the result.",
    );
  }
  const person = ["-c", `user.name=${author.name}`, "-c", `user.email=${author.email}`];
  const parents = ["-p", to, "-p", from];
  const made = await git.must([...person, place, "commit-tree", ...parents, "-F", "-", id], {
    input: new TextEncoder().encode(message),
  });
  const commit = Buffer.from(made.stdout).toString().trim();
  const moved = await git.run([place, "update-ref", `refs/heads/${base}`, commit, to]);
  if (moved.exitCode === 0) return { kind: "merged", commit };
  // It stands elsewhere by now, or the disk is full: only the first is worth another try.
  if ((await tipOf(git, folder, base)) !== to) return undefined;
  throw new CcwError("unavailable", `The branch ${base} could not be moved: ${moved.stderr.trim()}`);
}

async function tipOf(git: Git, folder: string, branch: string): Promise<string> {
  const tip = await findTip(git, folder, branch);
  if (tip !== undefined) return tip;
  throw new CcwError("not_found", `The branch ${branch} is not there any more.`);
}

/** Longer files are no templates. */
const maxFile = 64 * 1024;

/** The first of these files that the branch has and that is a text of at most 64 KiB. */
export async function readFileOf(
  git: Git,
  folder: string,
  branch: string,
  paths: readonly string[],
): Promise<string | undefined> {
  for (const path of paths) {
    const object = `refs/heads/${parseBranchName(branch)}:${path}`;
    const args = [`--git-dir=${folder}`, "cat-file", "blob", object];
    const { exitCode, stdout, truncated } = await git.run(args, { maxBytes: maxFile });
    const isText = exitCode === 0 && !truncated && !stdout.includes(0);
    const text = isText ? new TextDecoder().decode(stdout) : "";
    if (text.trim() !== "") return text;
  }
  return undefined;
}
