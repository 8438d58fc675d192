import { Database } from "bun:sqlite";
import { join } from "node:path";
import { CcwError, messageOf } from "../domain/errors.ts";

/**
 * One server a data folder. The lock is an open exclusive transaction on a file of its own: the kernel lets go of it
 * when the process ends, however it ends, so there is never a stale one.
 */
export function lockDataFolder(dataFolder: string): { release(): void } {
  const path = join(dataFolder, "lock.sqlite");
  let lock: Database | undefined;
  try {
    lock = new Database(path, { create: true });
    lock.run("BEGIN EXCLUSIVE");
  } catch (thrown) {
    lock?.close();
    if (thrown instanceof Error && "code" in thrown && String(thrown.code).startsWith("SQLITE_BUSY")) {
      throw new CcwError(
        "conflict",
        `Another ccw-server uses the data folder ${dataFolder} already.`,
        "Use that one (`ccw-server status`), stop it first, or start with another --data folder.",
      );
    }
    throw new CcwError(
      "unavailable",
      `The data folder ${dataFolder} cannot be written to: ${messageOf(thrown)}.`,
      "Check who owns it and whether its disk is full, or start with another --data folder.",
      { cause: thrown },
    );
  }
  const held = lock;
  return { release: () => held.close() };
}
