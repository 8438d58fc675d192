import type { PersonId, TaskId, TicketId } from "../ids.ts";
import type { TeleportFacts } from "../teleport.ts";
import type { Person } from "./people.ts";

/** What a person on a machine of theirs may do for a short time, with a secret and nothing else. */
export interface Ticket {
  id: TicketId;
  person: Person;
  /** Of the task that it is about; of a hand-over, that it is to become. */
  taskId: TaskId;
  facts: TicketFacts;
  /** Milliseconds since the epoch. */
  expiresAt: number;
  /** When it was first used. */
  usedAt: number | undefined;
}

export type TicketFacts =
  /** To fetch the branch, the last files and the conversation of one task. */
  | ({ kind: "teleport" } & TeleportFacts)
  /** To hand over one conversation with its files; `repository` and `baseBranch` once they are known. */
  | ({ kind: "handover" } & HandoverFacts);

export interface HandoverFacts {
  environment: string;
  model: string;
  /** Where it goes on, once that is known. */
  place: { repository: string; baseBranch: string } | undefined;
}

export interface TicketStore {
  /** The secret is shown this once; its SHA-256 is kept. */
  create(input: Pick<Ticket, "taskId" | "facts" | "expiresAt"> & { id: TicketId; person: PersonId }): string;
  /** One that is good still. */
  find(secret: string): Ticket | undefined;
  update(id: TicketId, change: Partial<Pick<Ticket, "facts" | "expiresAt" | "usedAt">>): void;
  /** Of a person, good still. */
  count(person: PersonId): number;
  get(id: TicketId): Ticket | undefined;
  /** Those that are good no longer. */
  expired(): Ticket[];
  remove(id: TicketId): void;
}
