import { z } from "@hono/zod-openapi";
import type { ForgeCheck, ForgeComment } from "../domain/forge.ts";
import { checksState, maxBody, maxTitle, mostRounds, type PullRequest } from "../domain/pull-request.ts";

/** JSON of pull requests as it goes over the wire. Times are milliseconds since the epoch. */

const prState = z.enum(["open", "merged", "closed"]);
const checkState = z.enum(["pending", "passed", "failed", "neutral"]);

export const pullRequestBadgeSchema = z.object({
  id: z.string(),
  repository: z.string(),
  number: z.number().int(),
  state: prState,
  draft: z.boolean(),
  updatedAt: z.number(),
});

export const pullRequestSchema = pullRequestBadgeSchema
  .extend({
    taskId: z.string(),
    /** `forge`: it is the forge's own, and this a copy. `appliance`: a person merges it here. */
    keptBy: z.enum(["forge", "appliance"]),
    /** Its page on the forge; empty for the appliance's own. */
    webUrl: z.string(),
    title: z.string(),
    body: z.string(),
    base: z.string(),
    head: z.string(),
    headCommit: z.string(),
    /** All checks in one word. */
    checksState: checkState.or(z.literal("none")),
    checks: z.array(
      z.object({
        id: z.string(),
        name: z.string(),
        state: checkState,
        webUrl: z.string(),
        summary: z.string(),
      }),
    ),
    comments: z.array(
      z.object({
        id: z.string(),
        author: z.string(),
        authorMayWrite: z.boolean(),
        own: z.boolean(),
        body: z.string(),
        place: z.object({ path: z.string(), line: z.number().optional() }).optional(),
        webUrl: z.string(),
        at: z.number(),
      }),
    ),
    /** Why the forge could not be asked the last time; empty while all is well. */
    trouble: z.string(),
    follow: z.object({
      on: z.boolean(),
      rounds: z.number().int(),
      maxRounds: z.number().int(),
      /** Whether the agent works on what came from checks or comments. */
      working: z.boolean(),
      /** Why it stopped by itself; empty while it goes on. */
      stopped: z.string(),
    }),
    createdAt: z.number(),
  })
  .openapi("PullRequest");
export type PullRequestJson = z.infer<typeof pullRequestSchema>;

export function pullRequestJson({ follow, checks, comments, ...rest }: PullRequest): PullRequestJson {
  const { on, rounds, maxRounds, round, stopped } = follow;
  return {
    ...rest,
    checksState: checksState(checks),
    checks: checks.map(checkJson),
    comments: comments.map(commentJson),
    follow: { on, rounds, maxRounds, working: round !== undefined, stopped },
  };
}

function checkJson({ id, name, state, webUrl, summary }: ForgeCheck) {
  return { id, name, state, webUrl, summary };
}

function commentJson({ place, thread: _, ...comment }: ForgeComment) {
  if (place === undefined) return comment;
  const { path, line } = place;
  return { ...comment, place: { path, ...(line !== undefined && { line }) } };
}

export const commitSchema = z
  .object({
    id: z.string(),
    author: z.object({ name: z.string(), email: z.string() }),
    at: z.number(),
    subject: z.string(),
  })
  .openapi("Commit");

const words = {
  title: z.string().trim().min(1, "The title is empty.").max(maxTitle).optional(),
  body: z.string().max(maxBody).optional(),
};

export const openPullRequestSchema = z.object({
  /** One of the task's; all whose work is pushed where it is left out. */
  repository: z.string().optional(),
  draft: z.boolean().default(false),
  ...words,
});

export const changePullRequestSchema = z.object({ ...words, draft: z.boolean().optional() });

export const mergePullRequestSchema = z.object({
  /** The newest commit that the person has looked at: nothing newer is merged. */
  headCommit: z.string().regex(/^[0-9a-f]{40,64}$/, "Name the commit that was looked at, whole."),
});

export const followPullRequestSchema = z.object({
  on: z.boolean(),
  /** How many prompts may come of it. */
  maxRounds: z.number().int().min(1).max(mostRounds).optional(),
});
