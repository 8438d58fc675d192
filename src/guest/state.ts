import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { z } from "zod";
import { isNoSpace } from "./disk.ts";

/** What a guest that is started again has to know of the one before it, beside the spool. */
const guestStateSchema = z.object({
  /** The last command that was carried out. */
  lastCommand: z.number().int().nonnegative().default(0),
  /** Given to the agent and not ended yet: given again after a restart, which the agent takes as one. */
  openPrompt: z.object({ promptId: z.string(), text: z.string() }).nullable().default(null),
  lastPromptId: z.string().nullable().default(null),
  /** Questions that nobody has answered. They die with the agent's process. */
  questions: z.array(z.string()).default([]),
  /** Clone and set-up are done: a restart leaves the workspace as it is. */
  prepared: z.boolean().default(false),
  /** Told to finish: a restart does not start the agent again, but commits and pushes. */
  finishing: z.boolean().default(false),
  /** The last word is in the spool: a restart only delivers it. */
  finished: z.boolean().default(false),
});
type GuestState = z.infer<typeof guestStateSchema>;

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
