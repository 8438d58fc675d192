import type { AttachmentId, PersonId, TaskId } from "../ids.ts";

export interface Attachment {
  id: AttachmentId;
  /** As in PromptAttachment. */
  name: string;
  mediaType: string;
  bytes: number;
}

/** The files of prompts; their bytes lie in the data folder. */
export interface AttachmentStore {
  add(attachment: Attachment & { person: PersonId }): void;
  get(id: AttachmentId): (Attachment & { person: PersonId; taskId: TaskId | undefined }) | undefined;
  /** Those of a person that no prompt has yet become the prompt's; `not_found` where one is not there. */
  claim(ids: readonly AttachmentId[], person: PersonId, taskId: TaskId): Attachment[];
  /** Uploaded before `time` (ms), and no prompt's. */
  unclaimed(time: number): AttachmentId[];
  ofTask(taskId: TaskId): AttachmentId[];
  remove(id: AttachmentId): void;
}
