import type { GitEndpoint } from "./git-server.ts";
import type { TicketId } from "./ids.ts";

/** What one teleport brings, as it was when it was asked for. */
export interface TeleportFacts {
  /** In the order of the task's repositories; those of which there is nothing to bring are left out. */
  repositories: TeleportRepository[];
  /** The conversation's name, and the commit that it is in; undefined where there is none. */
  session: { id: string; commit: string } | undefined;
  /** `turn 3`; undefined where the task has no snapshot. */
  state: string | undefined;
}

export interface TeleportRepository {
  /** Of the task's repository. */
  index: number;
  name: string;
  branch: string;
  /** The commit that the branch is to have. */
  target: string;
  /** Its files are those to lay over it; the same as `target` where all is committed. */
  files: string;
  /** What the branch is at where others moved it away from the task's work; empty otherwise. */
  moved: string;
  /** The first commits of its history; none where they could not be found in good time. */
  roots: string[];
}

/**
 * Bare repositories that hold what one ticket may fetch, and nothing else: `work` with the refs `refs/heads/<branch>` and
 * `refs/ccw/files`, and `session` with `refs/ccw/session`. They borrow all objects.
 */
export interface TeleportRepositories {
  /**
   * Makes the one for a repository. `lenders`: bare repositories of this machine. Of `tip`, the branch as it was pushed,
   * and the snapshot, one at least has to be there; undefined where neither is.
   */
  makeWork(
    ticket: TicketId,
    work: {
      index: number;
      name: string;
      branch: string;
      lenders: string[];
      tip: string | undefined;
      snapshot: { commit: string; head: string } | undefined;
    },
  ): Promise<TeleportRepository | undefined>;
  /** The name of the conversation in this commit; undefined where there is none. */
  makeSession(ticket: TicketId, session: { lender: string; commit: string }): Promise<string | undefined>;
  /** Read-only, and of nothing but what its refs reach; undefined where it is not there. */
  endpointOf(ticket: TicketId, place: number | "session"): GitEndpoint | undefined;
  /** All of a ticket; one that has none is success. */
  remove(ticket: TicketId): Promise<void>;
  /** Those that have some. */
  tickets(): TicketId[];
  /** The bare repositories of this machine that are borrowed from. */
  borrowed(): string[];
}
