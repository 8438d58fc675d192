import { parseBranchName } from "../domain/repository.ts";
import type { Git } from "./git.ts";

/** The branches of a bare repository of this machine, hosted or a mirror. */
export async function branchesIn(git: Git, folder: string): Promise<{ name: string; commit: string }[]> {
  const format = "--format=%(objectname) %(refname:lstrip=2)";
  const { stdout } = await git.must([`--git-dir=${folder}`, "for-each-ref", format, "refs/heads/"]);
  const lines = Buffer.from(stdout).toString().split("\n");
  return lines
    .filter((line) => line !== "")
    .map((line) => {
      const space = line.indexOf(" ");
      return { commit: line.slice(0, space), name: line.slice(space + 1) };
    });
}

/** The branch's newest commit; undefined where there is no such branch. Throws `invalid` for what is no branch's name. */
export async function findTip(git: Git, folder: string, branch: string): Promise<string | undefined> {
  const ref = `refs/heads/${parseBranchName(branch)}^{commit}`;
  const args = [`--git-dir=${folder}`, "rev-parse", "--verify", "--quiet", "--end-of-options", ref];
  const { exitCode, stdout } = await git.run(args);
  return exitCode === 0 ? Buffer.from(stdout).toString().trim() : undefined;
}
