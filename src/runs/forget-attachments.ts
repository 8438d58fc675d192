import type { AttachmentId } from "../domain/ids.ts";
import type { AttachmentFiles, Log } from "../domain/ports.ts";
import type { Store } from "../domain/store.ts";
import { type Regular, regularly } from "./regularly.ts";

/** For so long a file that was uploaded may wait for the prompt that it is meant for. */
const unclaimedMs = 24 * 3600 * 1000;
const everyMs = 3600 * 1000;

export interface ForgetAttachmentsOptions {
  store: Pick<Store, "attachments">;
  files: Pick<AttachmentFiles, "list" | "remove">;
  log: Log;
  now(): number;
}

/** Removes attachments that became nobody's, and files that no row has, at once and then every hour. */
export function startAttachmentSweep(options: ForgetAttachmentsOptions): Regular {
  const failed = "attachments could not be swept; trying again";
  return regularly(createAttachmentSweep(options), { everyMs, failed, log: options.log });
}

/** One sweep a call, one call at a time. A file without a row is there because its schedule is gone, say. */
export function createAttachmentSweep({
  store,
  files,
  now,
}: Omit<ForgetAttachmentsOptions, "log">): () => Promise<void> {
  /** Without a row at the last look: a file may be there just before its row, so it is looked at twice. */
  let suspects = new Set<AttachmentId>();

  return async () => {
    const unclaimed = store.attachments.unclaimed(now() - unclaimedMs);
    // In one go: none of them can become a prompt's in between.
    const unused = unclaimed.map((id) => store.attachments.remove(id));
    for (const file of unused) if (file !== undefined) await files.remove(file);
    const stray = (await files.list()).filter((file) => !store.attachments.isUsed(file));
    for (const id of stray) if (suspects.has(id)) await files.remove(id);
    suspects = new Set(stray);
  };
}
