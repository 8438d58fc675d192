import { z } from "zod";
import { acpProgramSchema } from "./acp-program.ts";
import { guestEventSchema } from "./event.ts";
import { jsonSchema } from "./json.ts";
import { agentModes } from "./task.ts";

/**
 * The words between guest and control door, over the sandbox's own socket:
 *
 *     GET  /session/start              → SessionStart
 *     POST /session/events             NDJSON of SessionEvent → { acked }
 *     GET  /session/commands?after=N   → NDJSON of SessionCommand, open for as long as the session lasts
 *     GET  /session/attachments/ID     → the bytes of an attachment of a prompt of this task
 *
 * Both directions are numbered from 1 without gaps. The guest keeps each event until the number is acknowledged
 * and each command's number before it acts on the next; so either side may die at any instant and nothing is
 * lost or done twice.
 */

/** A commit with the working files of one repository, and the commit that was checked out then. */
const snapshotCommitSchema = z.object({ commit: z.string(), head: z.string() });

const promptAttachmentSchema = z.object({
  id: z.string(),
  /** A plain file name: no slash, no control character, at most 100 long; unlike the others of its prompt. */
  name: z.string(),
  mediaType: z.string(),
  bytes: z.number().int().nonnegative(),
});
export type PromptAttachment = z.infer<typeof promptAttachmentSchema>;

export const sessionStartSchema = z.object({
  sandboxId: z.string(),
  taskId: z.string(),
  /** The last event number that the appliance holds from this sandbox. */
  acked: z.number().int().nonnegative(),
  /** The last command that was said to it so far, carried out or not. */
  lastCommand: z.number().int().nonnegative().optional(),
  repositories: z.array(
    z.object({
      name: z.string(),
      /** As people see it: `https://github.com/owner/name.git`. Git in the sandbox reaches it through the door. */
      url: z.string(),
      /** Where its objects lie in the sandbox, to borrow; undefined where there are none. */
      objects: z.string().optional(),
      baseBranch: z.string(),
      workBranch: z.string(),
      /** The task was rolled back: what its branch holds beyond what is there now is taken back with the next push. */
      rewrite: z.boolean().optional(),
    }),
  ),
  author: z.object({ name: z.string(), email: z.string() }),
  /** What commit messages end with, a line each. */
  trailers: z.array(z.string()).default([]),
  /** The environment's variables, for the set-up script and the agent. */
  variables: z.record(z.string(), z.string()),
  setupScript: z.string(),
  /** Authorities that programs in the sandbox shall believe: the appliance's own first, then the operator's. */
  trust: z
    .object({
      /** PEM, one or several after each other. */
      certificate: z.string(),
    })
    .optional(),
  agent: z.object({
    kind: z.string(),
    model: z.string(),
    /** `act` where nothing is said. */
    mode: z.enum(agentModes).optional(),
    /** The agent's own name for the conversation, a UUID. */
    sessionId: z.string(),
    /** What it is, where it is none of those that the guest knows by `kind`. */
    acp: acpProgramSchema.optional(),
  }),
  /** What a sandbox that is new begins with instead of the base branches: the work of one before it. */
  restore: z
    .object({
      /** The snapshot, in words for the transcript: "turn 3". */
      title: z.string(),
      /** For the task's repositories in their order; null where there is nothing but the branches. */
      repositories: z.array(snapshotCommitSchema.nullable()),
      /** Commit in the task's own snapshot repository with the agent's conversation and what lies beside the repositories. */
      session: z.string().optional(),
    })
    .optional(),
  /** Whether snapshots hold files that git ignores, too. */
  snapshotIgnored: z.boolean().optional(),
  /** What the agent is told of the network it has, in words. */
  instructions: z.string().optional(),
  /** Scoped to this sandbox; worthless at any other socket. */
  tokens: z.object({ model: z.string(), git: z.string() }),
});
export type SessionStart = z.infer<typeof sessionStartSchema>;

export const sessionEventSchema = z.object({ n: z.number().int().positive(), event: guestEventSchema });
export type SessionEvent = z.infer<typeof sessionEventSchema>;

export const sessionCommandBodySchema = z.discriminatedUnion("kind", [
  /**
   * Work to do: a turn of its own once the agent is free; with `now`, what the agent is told at the next step of the
   * turn that runs.
   */
  z.object({
    kind: z.literal("prompt"),
    promptId: z.string(),
    text: z.string(),
    attachments: z.array(promptAttachmentSchema).optional(),
    now: z.boolean().optional(),
  }),
  /** From the next model request on; empty for the appliance's default. */
  z.object({ kind: z.literal("set_model"), model: z.string() }),
  z.object({ kind: z.literal("set_mode"), mode: z.enum(agentModes) }),
  /** The answer to a `question`, in the words of the agent's permission protocol. */
  z.object({ kind: z.literal("answer"), requestId: z.string(), answer: jsonSchema }),
  /** End the turn that runs now; the session stays. */
  z.object({ kind: z.literal("interrupt") }),
  /** Nothing is left to do: commit what is uncommitted, push, say `finished`, and wait for what comes next. */
  z.object({ kind: z.literal("finish") }),
]);
export type SessionCommandBody = z.infer<typeof sessionCommandBodySchema>;

export const sessionCommandSchema = z.object({
  n: z.number().int().positive(),
  command: sessionCommandBodySchema,
});
export type SessionCommand = z.infer<typeof sessionCommandSchema>;

/** The loopback port that the guest forwards to the door, inside every sandbox. */
export const doorPort = 3128;
/** Where the sandbox finds its door's socket. */
export const doorSocketInSandbox = "/run/ccw/door.sock";
/** Where the sandbox finds the bare repository whose objects it may borrow, for the task's repository of this index. */
export const objectsInSandbox = (index: number): string => `/run/ccw-objects/${index}`;
/** How the git door names the place for what a forge does not take, for the task's repository of this index (KeptWork). */
export const keptRepository = (index: number): string => `kept.invalid/${index}`;
/** How the git door names the place for snapshots of the task's repository of this index. */
export const snapshotRepository = (index: number): string => `snapshots.invalid/${index}`;
/** How the git door names the place for snapshots of the agent's conversation. */
export const sessionSnapshots = "snapshots.invalid/session";
/** The ref that a snapshot is pushed to; `name` has letters and digits only. */
export const snapshotRef = (name: string): string => `refs/ccw/snapshots/${name}`;
/** Where the sandbox finds the executable that runs in it as the guest. */
export const guestInSandbox = "/run/ccw-server";
