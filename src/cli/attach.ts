import { basename } from "node:path";
import type { Client } from "../client.ts";
import { CcwError } from "../domain/errors.ts";
import { plainLine } from "../domain/plain-text.ts";

export const attachHelp = "file for the agent to look at; may be given several times";

/** Uploads files for one prompt, in order, and returns their ids. All are looked at before the first one is sent. */
export async function attach(client: Client, paths: readonly string[] = []): Promise<string[]> {
  const files = paths.map((path) => ({ path, file: Bun.file(path) }));
  for (const { path, file } of files) {
    const isFile = await file.stat().then(
      (found) => found.isFile(),
      () => false,
    );
    if (isFile) continue;
    throw new CcwError(
      "invalid",
      `${plainLine(path)} is no file that can be read, so nothing was sent.`,
      "Give the path of one file with each --attach; pack a folder first, with tar, say.",
    );
  }
  const ids = [];
  for (const { path, file } of files) {
    try {
      ids.push((await client.upload(basename(path), file)).id);
    } catch (thrown) {
      if (!(thrown instanceof CcwError)) throw thrown;
      const { code, message, hint } = thrown;
      throw new CcwError(code, `${plainLine(path)} was not attached. ${message}`, hint, { cause: thrown });
    }
  }
  return ids;
}
