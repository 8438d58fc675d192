import type { PullRequestId, TaskId } from "../ids.ts";
import type { PullRequest } from "../pull-request.ts";

export interface PullRequestStore {
  /** The appliance's own get the next number of their repository where `number` is 0. Wakes the task. */
  add(pullRequest: Omit<PullRequest, "createdAt" | "updatedAt">): PullRequest;
  get(id: PullRequestId): PullRequest | undefined;
  /** Newest first. */
  list(filter: {
    taskId?: TaskId;
    repository?: string;
    states?: readonly PullRequest["state"][];
    limit: number;
  }): PullRequest[];
  /** Those that are open, kept by a forge, and were looked at longest ago. */
  toPoll(limit: number): PullRequest[];
  update(
    id: PullRequestId,
    change: Partial<Omit<PullRequest, "id" | "taskId" | "createdAt" | "updatedAt">>,
  ): void;
  /** It was looked at now, whether it had changed or not. */
  polled(id: PullRequestId): void;
}
