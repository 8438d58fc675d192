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
  await git.must(["init", "--quiet", "--bare", "--template=", `--object-format=${format}`, "--", folder]);
  if (from === undefined) return;
  await Bun.write(join(folder, "objects/info/alternates"), `${join(from, "objects")}\n`);
}
