import type { AttachmentId, PersonId, ScheduleId, TaskId } from "../ids.ts";

export interface Attachment {
  id: AttachmentId;
  /** As in PromptAttachment. */
  name: string;
  mediaType: string;
  bytes: number;
}

/** The files of prompts; their bytes lie in the data folder, once for an upload and all of its copies. */
export interface AttachmentStore {
  add(attachment: Attachment & { person: PersonId }): void;
  /** `file`: the name of its bytes. `held`: a prompt or a schedule has it. */
  get(
    id: AttachmentId,
  ):
    | (Attachment & { person: PersonId; taskId: TaskId | undefined; file: AttachmentId; held: boolean })
    | undefined;
  /** Those of a person that nobody has yet become the owner's; `not_found` where one is not there. */
  claim(ids: readonly AttachmentId[], person: PersonId, owner: AttachmentOwner): Attachment[];
  /** Others of the same bytes, for this person to claim. The task or schedule that has these is not asked. */
  copy(ids: readonly AttachmentId[], person: PersonId): AttachmentId[];
  /** Uploaded before `time` (ms), and nobody's. */
  unclaimed(time: number): AttachmentId[];
  ofTask(taskId: TaskId): AttachmentId[];
  ofSchedule(scheduleId: ScheduleId): Attachment[];
  /** Returns the file that nobody needs any more; undefined while a copy does. */
  remove(id: AttachmentId): AttachmentId | undefined;
  /** Whether some attachment has these bytes. */
  isUsed(file: AttachmentId): boolean;
}

export type AttachmentOwner = { taskId: TaskId } | { scheduleId: ScheduleId };
