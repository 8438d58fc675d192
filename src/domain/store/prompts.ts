import type { PromptId, TaskId } from "../ids.ts";
import type { Attachment } from "./attachments.ts";
import type { Person } from "./people.ts";

export const promptStates = ["queued", "sent", "taken", "removed"] as const;
export type PromptState = (typeof promptStates)[number];

export interface Prompt {
  id: PromptId;
  taskId: TaskId;
  person: string;
  text: string;
  state: PromptState;
  /** Given to the agent within a turn that ran. */
  now: boolean;
  attachments: Attachment[];
  createdAt: number;
}

export interface PromptStore {
  /** At the end of its task's queue, or before all that wait. Appends the event, too. */
  add(prompt: {
    id: PromptId;
    taskId: TaskId;
    /** Its name is empty where the appliance itself has something to say. */
    person: Pick<Person, "name">;
    text: string;
    attachments?: readonly Attachment[];
    first?: boolean;
  }): void;
  get(id: PromptId): Prompt | undefined;
  /** Those that wait stand in the order in which they are taken, behind all others, which stand in the order they were. */
  list(taskId: TaskId): Prompt[];
  nextQueued(taskId: TaskId): Prompt | undefined;
  mark(id: PromptId, state: PromptState): void;
  /** Of one that waits; whoever calls appends the event. */
  edit(id: PromptId, text: string): void;
  /** To this place among those that wait, from 1; a place beyond the last is the last. */
  place(id: PromptId, position: number): void;
  /** It is sent at once, within the turn that runs. */
  sendNow(id: PromptId): void;
  /** Sent at once, and not taken yet, in the order in which they were sent. */
  underway(taskId: TaskId): Prompt[];
}
