import { messageOf } from "../domain/errors.ts";
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

/** Removes attachments that became nobody's within a day, and files that no row has: their schedule is gone, say. */
export function createAttachmentSweep({ store, files, log, now }: ForgetAttachmentsOptions) {
  let sweeping: Promise<void> | undefined;
  let regular: Regular | undefined;

  /** Without a row at the last look: a file may be there just before its row, so it is looked at twice. */
  let suspects = new Set<AttachmentId>();

  async function sweep(): Promise<void> {
    const unclaimed = store.attachments.unclaimed(now() - unclaimedMs);
    // In one go: none of them can become a prompt's in between.
    const unused = unclaimed.map((id) => store.attachments.remove(id));
    for (const file of unused) if (file !== undefined) await files.remove(file);
    const stray = (await files.list()).filter((file) => !store.attachments.isUsed(file));
    for (const id of stray) if (suspects.has(id)) await files.remove(id);
    suspects = new Set(stray);
  }

  const begin = () => {
    sweeping ??= sweep()
      .catch((thrown: unknown) => log.error("attachments could not be swept", { reason: messageOf(thrown) }))
      .finally(() => {
        sweeping = undefined;
      });
    return sweeping;
  };

  return {
    /** Once, now. */
    sweep: begin,
    start() {
      regular = regularly(begin, everyMs);
    },
    async close() {
      await regular?.close();
      await sweeping;
    },
  };
}
