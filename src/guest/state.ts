import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { z } from "zod";
import { isNoSpace } from "../domain/disk.ts";
import { agentModes } from "../domain/task.ts";

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
  taken: z.boolean(),
  told: z.boolean(),
  withdrawn: z.boolean(),
});

/** `value` counts for as long as the appliance's own word is still `base`. */
const setting = <Schema extends z.ZodType>(schema: Schema) =>
  z.object({ base: schema, value: schema }).nullable().default(null);

const snapshotSchema = z.object({ tree: z.string(), head: z.string(), commit: z.string() }).nullable();

/** What a guest that is started again has to know of the one before it, beside the spool. */
const guestStateSchema = z.object({
  /** The last command that was carried out. */
  lastCommand: z.number().int().nonnegative().default(0),
  /** Given to the agent and not ended yet: given again after a restart, which the agent takes as one. */
  openPrompt: keptPromptSchema.nullable().default(null),
  /** Beside the open one. */
  joining: z.array(joiningPromptSchema).default([]),
  /** For turns of their own when the open one's has ended. */
  nextPrompts: z.array(keptPromptSchema).default([]),
  /** How often a prompt was interrupted: what is sent once more after that counts once more. */
  interrupted: z.record(z.string(), z.number()).default({}),
  lastPromptId: z.string().nullable().default(null),
  /** The last message of the agent's that is in the spool; empty before the first. */
  heard: z.string().nullable().default(null),
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
    })
    .default({ count: 0, repositories: [], session: null, warned: [] }),
});
export type GuestState = z.infer<typeof guestStateSchema>;

export interface StateFile {
  readonly value: GuestState;
  /**
   * Written as a whole before it returns. On a full disk it is only remembered, until the next one: the agent may
   * yet clear the disk, and what is lost if the guest dies first is done again, not skipped.
   */
  update(change: Partial<GuestState>): void;
}

/** A file that is missing or torn counts as a first start; the rename keeps it from being torn. */
export function openStateFile(path: string): StateFile {
  mkdirSync(dirname(path), { recursive: true });
  let value = read(path);
  return {
    get value() {
      return value;
    },
    update(change) {
      value = { ...value, ...change };
      try {
        writeFileSync(`${path}.new`, JSON.stringify(value));
        renameSync(`${path}.new`, path);
      } catch (thrown) {
        if (!isNoSpace(thrown)) throw thrown;
      }
    },
  };
}

function read(path: string): GuestState {
  try {
    return guestStateSchema.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch {
    return guestStateSchema.parse({});
  }
}
