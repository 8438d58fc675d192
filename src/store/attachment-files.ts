import { randomUUID } from "node:crypto";
import { mkdirSync, rmSync } from "node:fs";
import { open, readdir, rename, rm, stat, statfs } from "node:fs/promises";
import { join } from "node:path";
import { attachmentTooLarge, mediaTypeOf, sniffedBytes, usualAttachmentBytes } from "../domain/attachment.ts";
import { CcwError } from "../domain/errors.ts";
import { isId } from "../domain/ids.ts";
import type { AttachmentFiles } from "../domain/ports.ts";

export interface AttachmentFilesOptions {
  /** Absolute. */
  folder: string;
  maxBytes?: number;
  /** Bytes that stay free for the rest of the appliance, whose database lies on the same disk; default 1 GiB. */
  reserveBytes?: number;
}

/** The bytes of attachments, at `<folder>/<id>`; what is coming in lies in `<folder>/.incoming`. */
export function openAttachmentFiles(options: AttachmentFilesOptions): AttachmentFiles {
  const { folder, maxBytes = usualAttachmentBytes, reserveBytes = 1024 ** 3 } = options;
  const incoming = join(folder, ".incoming");
  // What a server that died had begun.
  rmSync(incoming, { recursive: true, force: true });
  mkdirSync(incoming, { recursive: true, mode: 0o700 });

  return {
    maxBytes,

    async take(id, body, announced) {
      if (announced !== undefined && announced > maxBytes) throw attachmentTooLarge(maxBytes);
      const { bavail, bsize } = await statfs(incoming);
      if (bavail * bsize - (announced ?? maxBytes) < reserveBytes) throw full();
      const begun = join(incoming, randomUUID());
      try {
        const { bytes, head } = await write(begun, body, maxBytes);
        if (announced !== undefined && bytes !== announced) {
          throw new CcwError("invalid", `The upload was cut off: ${bytes} of ${announced} bytes came.`);
        }
        if (bytes === 0) throw new CcwError("invalid", "The attachment is empty.");
        await rename(begun, join(folder, id));
        return { bytes, mediaType: mediaTypeOf(head) };
      } catch (thrown) {
        await rm(begun, { force: true });
        throw /^(ENOSPC|EDQUOT)$/.test(codeOf(thrown)) ? full() : thrown;
      }
    },

    async find(id) {
      const path = join(folder, id);
      try {
        return { path, bytes: (await stat(path)).size };
      } catch (thrown) {
        if (codeOf(thrown) === "ENOENT") return undefined;
        throw thrown;
      }
    },

    list: async () => (await readdir(folder)).filter((name) => isId("AttachmentId", name)),

    remove: (id) => rm(join(folder, id), { force: true }),
  };
}

async function write(path: string, body: AsyncIterable<Uint8Array>, maxBytes: number) {
  const file = await open(path, "wx", 0o600);
  try {
    const head: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of body) {
      if (bytes < sniffedBytes) head.push(chunk.slice(0, sniffedBytes));
      bytes += chunk.length;
      if (bytes > maxBytes) throw attachmentTooLarge(maxBytes);
      for (let at = 0; at < chunk.length; ) at += (await file.write(chunk, at)).bytesWritten;
    }
    await file.sync();
    return { bytes, head: Buffer.concat(head) };
  } finally {
    await file.close();
  }
}

const codeOf = (thrown: unknown): string =>
  thrown instanceof Error && "code" in thrown ? String(thrown.code) : "";

const full = () =>
  new CcwError(
    "no_space",
    "The appliance's disk is full: the attachment was not kept.",
    "The operator makes room in the data folder; then attach it again.",
  );
