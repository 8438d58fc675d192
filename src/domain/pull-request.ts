import type { ForgeCheck, ForgeComment } from "./forge.ts";
import type { PromptId, PullRequestId, TaskId } from "./ids.ts";

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
  /** The newest ones, by time. */
  comments: ForgeComment[];
  /** Why the forge could not be asked the last time; empty while all is well. */
  trouble: string;
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
  /** What the agent works on now, or has worked on without an answer to those who asked. */
  round: PullRequestRound | undefined;
  /** Why it stopped by itself; empty while it goes on. */
  stopped: string;
}

export interface PullRequestRound {
  promptId: PromptId;
  /** Threads of comments that get an answer once the work is pushed. */
  threads: string[];
  /** Where the branch was when the prompt was made. */
  commit: string;
}

const usualRounds = 5;
export const mostRounds = 50;

export const notFollowed: PullRequestFollow = {
  on: false,
  rounds: 0,
  maxRounds: usualRounds,
  seen: [],
  round: undefined,
  stopped: "",
};

/** As much of it as a list of tasks shows. */
export type PullRequestBadge = Pick<
  PullRequest,
  "id" | "repository" | "number" | "state" | "draft" | "updatedAt"
>;

/** Longer titles and descriptions are refused by forges. */
export const maxTitle = 250;
export const maxBody = 60_000;

/** `github.com/acme/widget#12`. */
export function nameOf({ repository, number }: Pick<PullRequest, "repository" | "number">): string {
  return `${repository}#${number}`;
}

/** All checks together, in one word. */
export function checksState(checks: readonly ForgeCheck[]): ForgeCheck["state"] | "none" {
  const states = new Set(checks.map(({ state }) => state));
  return (["failed", "pending", "passed", "neutral"] as const).find((state) => states.has(state)) ?? "none";
}
