import { CcwError } from "../domain/errors.ts";
import type { PullRequest } from "../domain/pull-request.ts";
import type { Person } from "../domain/store/people.ts";
import { eventOf, onTheForge, type PullRequestContext } from "./pull-request-context.ts";

const namedConflicts = 20;

/**
 * Merges a pull request of the appliance's own, by a merge commit in the person's name. A person does this, never the
 * agent: it has no way here. Merged and not written down, as by a server that died in between, counts as merged.
 */
export async function mergeOwn(
  { store, host }: PullRequestContext,
  before: PullRequest,
  by: Person,
  headCommit: string,
): Promise<void> {
  const { id, taskId, repository, number, base, head, title } = before;
  if (before.keptBy === "forge") throw onTheForge(before, "merge");
  if (before.draft) {
    throw new CcwError("conflict", "It is a draft.", "Mark it as ready for review first.");
  }
  const outcome = await host.merge(repository, {
    ...{ base, head, headCommit },
    message: `Merge pull request #${number} from ${head}\n\n${title}\n`,
    author: authorOf(by),
  });
  switch (outcome.kind) {
    case "merged":
    case "contained":
      store.atomically(() => {
        store.pullRequests.update(id, { state: "merged", headCommit, trouble: "" });
        store.events.append(taskId, { kind: "pull_request_merged", ...eventOf(before, by) });
      });
      return;
    case "conflicts": {
      const files = outcome.files.slice(0, namedConflicts);
      const more = outcome.files.length - files.length;
      throw new CcwError(
        "conflict",
        `${head} and ${base} change the same lines: ${files.join(", ")}${more > 0 ? ` and ${more} more` : ""}. Nothing was merged.`,
        `Have the conflicts settled on ${head}, by a new task or in a checkout, and merge then.`,
      );
    }
    case "moved":
      store.pullRequests.update(id, { headCommit: outcome.headCommit });
      throw new CcwError(
        "conflict",
        `${head} was pushed to since you looked at it: it is at ${outcome.headCommit.slice(0, 10)} now. Nothing was merged.`,
        "Look at what is new, then merge it.",
      );
  }
}

function authorOf({ name }: Person): { name: string; email: string } {
  return { name, email: `${name.replace(/[^A-Za-z0-9._-]+/g, ".")}@ccw.invalid` };
}
