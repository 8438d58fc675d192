import { keptRepository } from "../domain/session.ts";
import { step } from "./step.ts";
import { type Checkout, publishWork, type WorkspaceOptions } from "./workspace.ts";

interface PublishOptions extends WorkspaceOptions {
  taskId: string;
  /** Where git finds the door. */
  gitBase: string;
}

/** Commits and pushes the work of all repositories, and says in words how it went. Throws for the first that failed. */
export async function publishAll(options: PublishOptions, checkouts: readonly Checkout[]): Promise<string> {
  const words: string[] = [];
  const failures: unknown[] = [];
  for (const [index, checkout] of checkouts.entries()) {
    const { name: repository, workBranch: branch } = checkout;
    const publish = step(options, "push", `${repository}: ${branch}`, async (onLines) => {
      const published = await publishWork(checkout, options, onLines, {
        url: `${options.gitBase}/${keptRepository(index)}.git`,
        hint: `When the forge takes it: ccw-server task push ${options.taskId}`,
      });
      if (published.kind === "nothing_new") {
        words.push(`Nothing was changed in ${repository}.`);
        return;
      }
      await options.emit({ kind: "pushed", repository, branch, commit: published.commit });
      words.push(`The work in ${repository} is on ${branch}.`);
    });
    // What can be pushed of the others is.
    await publish.catch((thrown: unknown) => failures.push(thrown));
    options.signal.throwIfAborted();
  }
  if (failures.length > 0) throw failures[0];
  return words.length === 0 ? "The task is done." : words.join(" ");
}
