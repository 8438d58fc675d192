/**
 * Branded ids: a mixed-up id is a type error. An id is a prefix, an underscore and 20 lower-case base-32
 * characters; the first ten carry the time in milliseconds, so ids sort by creation.
 */
declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

export type TaskId = Branded<"TaskId">;
export type SandboxId = Branded<"SandboxId">;
export type PromptId = Branded<"PromptId">;
export type PersonId = Branded<"PersonId">;
export type TokenId = Branded<"TokenId">;
export type PullRequestId = Branded<"PullRequestId">;
export type AttachmentId = Branded<"AttachmentId">;
export type ScheduleId = Branded<"ScheduleId">;
export type GroupId = Branded<"GroupId">;
export type TicketId = Branded<"TicketId">;

const prefixes = {
  TaskId: "tsk",
  SandboxId: "sbx",
  PromptId: "prm",
  PersonId: "per",
  TokenId: "tok",
  PullRequestId: "plr",
  AttachmentId: "att",
  ScheduleId: "sch",
  GroupId: "grp",
  TicketId: "tkt",
} as const;
type IdName = keyof typeof prefixes;

/** Crockford's alphabet: no i, l, o, u, so an id read aloud or typed stays unambiguous. */
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz";

export interface IdSource {
  /** Milliseconds since the epoch. */
  now(): number;
  /** `count` random bytes, from a cryptographic source. */
  randomBytes(count: number): Uint8Array;
}

export function newId<Name extends IdName>(name: Name, source: IdSource): Branded<Name> {
  let time = source.now();
  let stamp = "";
  for (let i = 0; i < 10; i++) {
    stamp = alphabet.charAt(time % 32) + stamp;
    time = Math.floor(time / 32);
  }
  const noise = [...source.randomBytes(10)].map((byte) => alphabet.charAt(byte % 32)).join("");
  return `${prefixes[name]}_${stamp}${noise}` as Branded<Name>;
}

const shape = /^[a-z]{3}_[0-9a-hjkmnp-tv-z]{20}$/;

/** Whether `text` has the shape of an id of this kind; says nothing about whether it exists. */
export function isId<Name extends IdName>(name: Name, text: string): text is Branded<Name> {
  return shape.test(text) && text.startsWith(`${prefixes[name]}_`);
}
