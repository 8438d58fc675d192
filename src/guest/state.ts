import { copyFileSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { z } from "zod";
import { isNoSpace } from "../domain/disk.ts";
import { parseJson } from "../domain/json.ts";
import { agentModes } from "../domain/task.ts";
import type { Heard } from "./agents/heard.ts";

const keptPromptSchema = z.object({
  promptId: z.string(),
  key: z.string(),
  text: z.string(),
  images: z.array(z.object({ path: z.string(), mediaType: z.string() })).default([]),
});
export type KeptPrompt = z.infer<typeof keptPromptSchema>;

/**
 * Sent to be told within a turn that runs, in that order. `taken`: by the agent that runs now, which may yet forget it
 * when it dies before the turn has ended. `told`: the appliance knows that it was taken. `withdrawn`: an interrupt came
 * first.
 */
const joiningPromptSchema = keptPromptSchema.extend({
  taken: z.boolean().default(false),
  told: z.boolean().default(false),
  withdrawn: z.boolean().default(false),
});

/** `value` counts for as long as the appliance's own word is still `base`. */
const setting = <Schema extends z.ZodType>(schema: Schema) =>
  z.object({ base: schema, value: schema }).nullable().default(null);

const snapshotSchema = z.object({ tree: z.string(), head: z.string(), commit: z.string() }).nullable();

/** Format 1 knew the last message alone. */
const heardSchema = z.union([
  z.object({ upTo: z.string(), parts: z.array(z.string()) }),
  z.string().transform((upTo): Heard => ({ upTo, parts: [] })),
]);

const format = 2;

/**
 * What a guest that is started again has to know of the one before it. What follows from events is written down some
 * time after them: it is drawn from the spool's lines again.
 *
 * A sandbox that sleeps over an update wakes with a newer guest: whatever is added here has a default, and what changes
 * its shape is read in the old one, too (fixtures/).
 */
const guestStateSchema = z.object({
  format: z.number().default(1),
  /** The last line of the spool that this follows from; null where that was not written down. */
  events: z.number().int().nonnegative().nullable().default(null),
  /** The last command that was carried out. */
  lastCommand: z.number().int().nonnegative().default(0),
  /** Given to the agent and not ended yet: given again after a restart, which the agent takes as one. */
  openPrompt: keptPromptSchema.nullable().default(null),
  /** The open one, where it is to be interrupted: whoever goes on with it has to know. */
  interrupting: z.string().nullable().default(null),
  /** Beside the open one. */
  joining: z.array(joiningPromptSchema).default([]),
  /** For turns of their own when the open one's has ended. */
  nextPrompts: z.array(keptPromptSchema).default([]),
  /** How often a prompt was interrupted: what is sent once more after that counts once more. */
  interrupted: z.record(z.string(), z.number()).default({}),
  lastPromptId: z.string().nullable().default(null),
  /** What was told of the agent's conversation; null before it was listened to. */
  heard: heardSchema.nullable().default(null),
  /** Questions that nobody has answered. They die with the agent's process. */
  questions: z.array(z.string()).default([]),
  /** Clone and set-up are done: a restart leaves the workspace as it is. */
  prepared: z.boolean().default(false),
  model: setting(z.string()),
  mode: setting(z.enum(agentModes)),
  /** The last snapshots that were pushed: what has not changed since needs no new one. */
  snapshots: z
    .object({
      /** How many were tried, for names that are used once. */
      count: z.number().int().nonnegative(),
      repositories: z.array(snapshotSchema),
      session: snapshotSchema,
      /** Warnings that were given: each is given once. */
      warned: z.array(z.string()),
      /** The prompt whose turn has none for want of disk; it is taken as long as no other turn has begun. */
      owed: z.string().nullable().default(null),
    })
    .default({ count: 0, repositories: [], session: null, warned: [], owed: null }),
});
export type GuestState = z.infer<typeof guestStateSchema>;

export interface StateFile {
  readonly value: GuestState;
  /** What could not be read, in words for people. */
  readonly unread: string | undefined;
  /**
   * Written as a whole before it returns. On a full disk it is only remembered, until the next one: the agent may
   * yet clear the disk, and what is lost if the guest dies first is done again, not skipped.
   */
  update(change: Partial<GuestState>): void;
  /** What follows from line `n` of the spool, which is there already: written with what is written next. */
  follow(n: number, change: Partial<GuestState>): void;
  /** Writes what is only remembered. Returns the last line of the spool whose meaning is on the disk. */
  save(): number;
}

/** So many lines of the spool are read again at most, beside those that the appliance has not acknowledged. */
const maxBehind = 500;

/**
 * A file that is missing is a first start; the rename keeps it from being torn. What cannot be read counts as never
 * written, but for `otherwise`; the file is set aside.
 */
export function openStateFile(path: string, otherwise: () => Partial<GuestState> = () => ({})): StateFile {
  mkdirSync(dirname(path), { recursive: true });
  const found = read(path);
  let { value } = found;
  if (found.unread.length > 0) {
    value = { ...value, ...pick(otherwise(), found.unread) };
    try {
      copyFileSync(path, `${path}.unread`);
    } catch (thrown) {
      if (!isNoSpace(thrown)) throw thrown;
    }
  }
  let saved = value.events ?? 0;
  const write = () => {
    try {
      writeFileSync(`${path}.new`, JSON.stringify({ ...value, format }));
      renameSync(`${path}.new`, path);
      saved = value.events ?? 0;
    } catch (thrown) {
      if (!isNoSpace(thrown)) throw thrown;
    }
  };
  return {
    get value() {
      return value;
    },
    unread:
      found.unread.length === 0
        ? undefined
        : `What the sandbox had noted of its work cannot be read (${found.unread.join(", ")}): it goes on without. Prompts of before may be told to the agent again, which knows those that it has answered.`,
    update(change) {
      value = { ...value, ...change };
      write();
    },
    follow(n, change) {
      value = { ...value, ...change, events: n };
      if (n - saved >= maxBehind) write();
    },
    save() {
      if (saved !== (value.events ?? 0)) write();
      return saved;
    },
  };
}

type Field = keyof GuestState;
const fields = Object.keys(guestStateSchema.shape) as Field[];

function read(path: string): { value: GuestState; unread: Field[] } {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return { value: guestStateSchema.parse({ events: 0 }), unread: [] };
  }
  const raw = z.record(z.string(), z.unknown()).safeParse(parseJson(text));
  if (!raw.success) return { value: guestStateSchema.parse({}), unread: fields };
  const parsed = guestStateSchema.safeParse(raw.data);
  if (parsed.success) return { value: parsed.data, unread: [] };
  const names = new Set(parsed.error.issues.map((issue) => issue.path[0]));
  const unread = fields.filter((name) => names.has(name));
  const readable = Object.entries(raw.data).filter(([name]) => !names.has(name));
  return { value: guestStateSchema.parse(Object.fromEntries(readable)), unread };
}

function pick(from: Partial<GuestState>, names: Field[]): Partial<GuestState> {
  return Object.fromEntries(Object.entries(from).filter(([name]) => names.some((each) => each === name)));
}
