import { and, eq, inArray, isNull, lt } from "drizzle-orm";
import { distinctNames } from "../domain/attachment.ts";
import { CcwError } from "../domain/errors.ts";
import type { AttachmentStore } from "../domain/store/attachments.ts";
import type { StoreContext } from "./context.ts";
import { attachments } from "./schema/attachments.ts";

export function createAttachmentStore({ db, ids }: StoreContext): AttachmentStore {
  return {
    add(attachment) {
      db.insert(attachments)
        .values({ ...attachment, createdAt: ids.now() })
        .run();
    },
    get(id) {
      const row = db.select().from(attachments).where(eq(attachments.id, id)).get();
      return row && { ...row, taskId: row.taskId ?? undefined };
    },
    claim(wanted, person, taskId) {
      if (wanted.length === 0) return [];
      const mine = and(
        inArray(attachments.id, [...wanted]),
        eq(attachments.person, person),
        isNull(attachments.taskId),
      );
      const found = new Map(
        db
          .update(attachments)
          .set({ taskId })
          .where(mine)
          .returning()
          .all()
          .map((row) => [row.id, row]),
      );
      const rows = [...new Set(wanted)].map((id) => {
        const row = found.get(id);
        if (row === undefined) {
          throw new CcwError(
            "not_found",
            `There is no attachment ${id} that this prompt could take.`,
            "Upload the file again: what no prompt takes is removed after a day.",
          );
        }
        const { name, mediaType, bytes } = row;
        return { id, name, mediaType, bytes };
      });
      const names = distinctNames(rows.map(({ name }) => name));
      return rows.map((row, index) => ({ ...row, name: names[index] ?? row.name }));
    },
    unclaimed: (time) =>
      db
        .select({ id: attachments.id })
        .from(attachments)
        .where(and(isNull(attachments.taskId), lt(attachments.createdAt, time)))
        .all()
        .map(({ id }) => id),
    ofTask: (taskId) =>
      db
        .select({ id: attachments.id })
        .from(attachments)
        .where(eq(attachments.taskId, taskId))
        .all()
        .map(({ id }) => id),
    remove(id) {
      db.delete(attachments).where(eq(attachments.id, id)).run();
    },
  };
}
