import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Git } from "./git.ts";

/**
 * Makes an empty bare repository in `folder`, which sees the objects of another one of this machine and of the same
 * kind; what is written goes into its own. `from` undefined: it sees none.
 */
export async function makeBorrowing(git: Git, folder: string, from: string | undefined): Promise<void> {
  const config = from === undefined ? "" : await readFile(join(from, "config"), "utf8");
  const format = /objectformat\s*=\s*sha256/i.test(config) ? "sha256" : "sha1";
  const how = ["--quiet", "--bare", "--template=", `--object-format=${format}`];
  // A ref is a file, as `refFileIn` reads it; a git that knows no other way ignores this.
  await git.must(["-c", "init.defaultRefFormat=files", "init", ...how, "--", folder]);
  if (from === undefined) return;
  await Bun.write(join(folder, "objects/info/alternates"), `${join(from, "objects")}\n`);
}

/** The commit of a branch in such a repository, in which nobody packs refs; undefined where there is none. */
export function refFileIn(folder: string, branch: string): string | undefined {
  try {
    const text = readFileSync(join(folder, "refs/heads", branch), "latin1").trim();
    return /^([0-9a-f]{40}|[0-9a-f]{64})$/.test(text) ? text : undefined;
  } catch {
    return undefined;
  }
}
