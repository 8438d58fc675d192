import { existsSync, readdirSync, rmSync } from "node:fs";
import { mkdtemp, rename, rm } from "node:fs/promises";
import { join } from "node:path";

/** How the names begin of what is being made, or removed. */
const unfinished = ".new-";

/** Removes what a server that died had begun: before anything is made in the folder, which need not be there. */
export function removeUnfinished(folder: string): void {
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder))
    if (name.startsWith(unfinished)) rmSync(join(folder, name), { recursive: true });
}

/**
 * A folder that is there whole or not at all: filled in `folder`, and moved to `path` on the same disk. False where one was
 * made there meanwhile, which stays.
 */
export async function makeWhole(
  folder: string,
  path: string,
  fill: (fresh: string) => Promise<void>,
): Promise<boolean> {
  const fresh = await mkdtemp(join(folder, unfinished));
  try {
    await fill(fresh);
    await rename(fresh, path);
    return true;
  } catch (thrown) {
    await rm(fresh, { recursive: true, force: true });
    if (!existsSync(path)) throw thrown;
    return false;
  }
}

/** In one step, however long it takes: what is half gone would look whole. Nothing where it is not there. */
export async function removeWhole(folder: string, path: string): Promise<void> {
  const gone = join(folder, unfinished + crypto.randomUUID());
  try {
    await rename(path, gone);
  } catch (thrown) {
    if (existsSync(path)) throw thrown;
  }
  await rm(gone, { recursive: true, force: true });
}
