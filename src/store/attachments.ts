import { and, eq, inArray, isNull, lt, or } from "drizzle-orm";
import { distinctNames } from "../domain/attachment.ts";
import { CcwError } from "../domain/errors.ts";
import { type AttachmentId, newId } from "../domain/ids.ts";
import type { AttachmentStore } from "../domain/store/attachments.ts";
import type { StoreContext } from "./context.ts";
import { attachments } from "./schema/attachments.ts";

const isNobodys = and(isNull(attachments.taskId), isNull(attachments.scheduleId));

export function createAttachmentStore({ db, ids }: StoreContext): AttachmentStore {
  const isUsed = (file: AttachmentId) =>
    db
      .select({ id: attachments.id })
      .from(attachments)
      .where(or(eq(attachments.id, file), eq(attachments.file, file)))
      .limit(1)
      .get() !== undefined;

  return {
    add(attachment) {
      db.insert(attachments)
        .values({ ...attachment, createdAt: ids.now() })
        .run();
    },
    get(id) {
      const row = db.select().from(attachments).where(eq(attachments.id, id)).get();
      if (row === undefined) return undefined;
      const { taskId, scheduleId, file, ...rest } = row;
      const held = taskId !== null || scheduleId !== null;
      return { ...rest, taskId: taskId ?? undefined, file: file ?? id, held };
    },
    claim(wanted, person, owner) {
      if (wanted.length === 0) return [];
      const mine = and(inArray(attachments.id, [...wanted]), eq(attachments.person, person), isNobodys);
      const found = new Map(
        db
          .update(attachments)
          .set(owner)
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
            `There is no attachment ${id} that could be taken for this.`,
            "Upload the file again: each upload is taken once, and removed after a day where it is not.",
          );
        }
        const { name, mediaType, bytes } = row;
        return { id, name, mediaType, bytes };
      });
      const names = distinctNames(rows.map(({ name }) => name));
      return rows.map((row, index) => ({ ...row, name: names[index] ?? row.name }));
    },
    copy: (given, person) =>
      [...new Set(given)].map((from) => {
        const row = db.select().from(attachments).where(eq(attachments.id, from)).get();
        if (row === undefined) throw new CcwError("not_found", `There is no attachment ${from} any more.`);
        const { name, mediaType, bytes } = row;
        const id = newId("AttachmentId", ids);
        const file = row.file ?? row.id;
        db.insert(attachments)
          .values({ ...{ id, file, person, name, mediaType, bytes }, createdAt: ids.now() })
          .run();
        return id;
      }),
    unclaimed: (time) =>
      db
        .select({ id: attachments.id })
        .from(attachments)
        .where(and(isNobodys, lt(attachments.createdAt, time)))
        .all()
        .map(({ id }) => id),
    ofTask: (taskId) =>
      db
        .select({ id: attachments.id })
        .from(attachments)
        .where(eq(attachments.taskId, taskId))
        .all()
        .map(({ id }) => id),
    ofSchedule: (scheduleId) =>
      db
        .select({
          id: attachments.id,
          name: attachments.name,
          mediaType: attachments.mediaType,
          bytes: attachments.bytes,
        })
        .from(attachments)
        .where(eq(attachments.scheduleId, scheduleId))
        .orderBy(attachments.createdAt, attachments.id)
        .all(),
    remove(id) {
      const row = db.delete(attachments).where(eq(attachments.id, id)).returning().get();
      const file = row?.file ?? id;
      return isUsed(file) ? undefined : file;
    },
    isUsed,
  };
}
