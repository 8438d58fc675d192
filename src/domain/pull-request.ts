import type { ForgeCheck } from "./forge.ts";
import type { PullRequestId, TaskId } from "./ids.ts";

/**
 * A task's work, offered for review. On a forge it is the forge's own pull request and this is a copy of it; for a
 * hosted repository and a plain git server the appliance keeps it by itself, and a person merges it here.
 */
export interface PullRequest {
  id: PullRequestId;
  taskId: TaskId;
  /** The repository's name on the appliance. */
  repository: string;
  keptBy: "forge" | "appliance";
  /** On the forge; for the appliance's own, counted in its repository. */
  number: number;
  /** The page on the forge; empty for the appliance's own. */
  webUrl: string;
  title: string;
  body: string;
  draft: boolean;
  state: "open" | "merged" | "closed";
  /** Branch names. */
  base: string;
  head: string;
  /** The newest commit of `head` that was seen. */
  headCommit: string;
  checks: ForgeCheck[];
  follow: PullRequestFollow;
  createdAt: number;
  updatedAt: number;
}

/** Whether what CI and reviewers find becomes work for the task, and how far that has gone. */
export interface PullRequestFollow {
  on: boolean;
  /** Prompts sent so far because of checks or comments. */
  rounds: number;
  maxRounds: number;
  /** Ids of checks and comments that were handed to the agent, or were there before. */
  seen: string[];
  /** Why it stopped by itself; empty while it goes on. */
  stopped: string;
}

export const usualRounds = 5;
