import { mkdirSync, rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { CcwError } from "../domain/errors.ts";
import type { MergeOutcome, MergeRequest } from "../domain/ports.ts";
import type { RemoteRepository } from "../domain/repository.ts";
import { makeBorrowing } from "./borrowing-repository.ts";
import { findTip } from "./branches.ts";
import { createGit } from "./git.ts";
import { mergeBranches } from "./merge.ts";
import type { RemotePush } from "./remote-push.ts";

export interface RemoteMergeOptions {
  /** Where merges are made, each in a repository of its own beside the mirror. Nobody else's. */
  folder: string;
  remotePush: RemotePush;
  /** The repository and its mirror, as they are now. */
  freshly(name: string, signal: AbortSignal): Promise<{ repository: RemoteRepository; mirror: string }>;
}

/** Somebody else may push to the base at the same time; the merge is made anew from where it is then. */
const maxTries = 5;
const withinMs = 30 * 60_000;

/** Merges on a server that only knows git: made here, and pushed to the base, never by force. */
export function createRemoteMerge({ folder, remotePush, freshly }: RemoteMergeOptions) {
  const git = createGit();
  // What a server that died in between has left.
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true, mode: 0o700 });

  /** Undefined where the base was moved meanwhile. */
  async function tryMerge(
    name: string,
    request: MergeRequest,
    signal: AbortSignal,
  ): Promise<MergeOutcome | undefined> {
    const { repository, mirror } = await freshly(name, signal);
    const place = await mkdtemp(join(folder, "merge-"));
    try {
      await makeBorrowing(git, place, mirror);
      for (const branch of [request.base, request.head]) {
        const commit = await findTip(git, mirror, branch);
        if (commit === undefined) continue;
        await git.must([`--git-dir=${place}`, "update-ref", `refs/heads/${branch}`, commit]);
      }
      const outcome = await mergeBranches(git, place, request);
      if (outcome.kind !== "merged") return outcome;
      const from = { folder: place, commit: outcome.commit, branch: request.base };
      return (await remotePush.push(repository, from, signal)) === "pushed" ? outcome : undefined;
    } finally {
      await rm(place, { recursive: true, force: true });
    }
  }

  return async (name: string, request: MergeRequest): Promise<MergeOutcome> => {
    const signal = AbortSignal.timeout(withinMs);
    for (let tries = 0; tries < maxTries; tries++) {
      const outcome = await tryMerge(name, request, signal);
      if (outcome !== undefined) return outcome;
    }
    throw new CcwError(
      "conflict",
      `The branch ${request.base} was pushed to again and again while the merge was made. Nothing was merged.`,
      "Try again.",
    );
  };
}
