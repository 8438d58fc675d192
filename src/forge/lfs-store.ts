import { createHash, randomUUID } from "node:crypto";
import { mkdir, open, rename, rm, stat, statfs } from "node:fs/promises";
import { dirname, join } from "node:path";
import { bytesText } from "../domain/amounts.ts";
import { CcwError } from "../domain/errors.ts";
import type { LfsObject } from "../domain/lfs.ts";
import { parseRepositoryName } from "../domain/repository.ts";

/** Large files of hosted repositories, at `<folder>/<repository>.git/ab/cd/<oid>`. What is in there is whole. */
export interface LfsStore {
  /** Of the largest object that is taken, in bytes. */
  maxObjectBytes: number;
  /** The object's file; undefined where there is none. */
  find(repository: string, oid: string): Promise<{ path: string; size: number } | undefined>;
  /**
   * Takes an object in, once all of it has come and is what its name says. Throws `invalid` where it is not,
   * `too_large`, and `no_space`.
   */
  take(repository: string, object: LfsObject, body: AsyncIterable<Uint8Array>): Promise<void>;
}

export interface LfsStoreOptions {
  /** Absolute. */
  folder: string;
  /** Default 5 GiB. */
  maxObjectBytes?: number;
  /** Bytes that stay free for the rest of the appliance, whose database lies on the same disk; default 1 GiB. */
  reserveBytes?: number;
}

export async function openLfsStore(options: LfsStoreOptions): Promise<LfsStore> {
  const { folder, maxObjectBytes = 5 * 1024 ** 3, reserveBytes = 1024 ** 3 } = options;
  const incoming = join(folder, ".incoming");
  // What a server that died had begun.
  await rm(incoming, { recursive: true, force: true });
  await mkdir(incoming, { recursive: true, mode: 0o700 });

  // Behind `.git`, where no part of a repository's name can lie.
  const pathOf = (repository: string, oid: string) =>
    join(folder, `${parseRepositoryName(repository)}.git`, oid.slice(0, 2), oid.slice(2, 4), oid);

  return {
    maxObjectBytes,

    async find(repository, oid) {
      const path = pathOf(repository, oid);
      try {
        return { path, size: (await stat(path)).size };
      } catch (thrown) {
        if (codeOf(thrown) === "ENOENT") return undefined;
        throw thrown;
      }
    },

    async take(repository, { oid, size }, body) {
      if (size > maxObjectBytes) throw tooLarge(maxObjectBytes);
      const { bavail, bsize } = await statfs(incoming);
      if (bavail * bsize - size < reserveBytes) throw full();
      const path = pathOf(repository, oid);
      const begun = join(incoming, randomUUID());
      try {
        const file = await open(begun, "wx", 0o600);
        try {
          const hash = createHash("sha256");
          let length = 0;
          for await (const chunk of body) {
            length += chunk.length;
            if (length > size) break;
            hash.update(chunk);
            for (let at = 0; at < chunk.length; ) at += (await file.write(chunk, at)).bytesWritten;
          }
          if (length !== size || hash.digest("hex") !== oid) {
            throw new CcwError("invalid", `What was sent is not the object ${oid} of ${size} bytes.`);
          }
          await file.sync();
        } finally {
          await file.close();
        }
        await mkdir(dirname(path), { recursive: true, mode: 0o700 });
        await rename(begun, path);
      } catch (thrown) {
        await rm(begun, { force: true });
        throw /^(ENOSPC|EDQUOT)$/.test(codeOf(thrown)) ? full() : thrown;
      }
    },
  };
}

const codeOf = (thrown: unknown): string =>
  thrown instanceof Error && "code" in thrown ? String(thrown.code) : "";

export const tooLarge = (maxBytes: number) =>
  new CcwError("too_large", `An object may have at most ${bytesText(maxBytes)} here.`);

const full = () =>
  new CcwError(
    "no_space",
    "The appliance's disk is full: the object was not kept.",
    "The operator makes room in the data folder; then push again.",
  );
