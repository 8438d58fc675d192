import type { Checkout } from "./workspace.ts";

/**
 * What the agent is told about where it works, appended to its own system prompt. `network`: what the environment lets
 * it reach, in the appliance's words.
 */
export function instructionsFor(
  checkouts: readonly Checkout[],
  workspace: string,
  { asksWith, network }: { asksWith: string; network?: string | undefined },
): string {
  const where =
    checkouts.length === 0
      ? `There is no repository in this task; work in ${workspace}.`
      : [
          "Repositories of this task, cloned already:",
          ...checkouts.map(
            ({ name, folder, baseBranch, workBranch }) =>
              `- ${name} in ${folder}, on its work branch \`${workBranch}\` (made from \`${baseBranch}\`)`,
          ),
          "Commit your work on the work branch, with messages that say why. Push that branch only, to `origin`, as `git push origin HEAD`. Pushes to any other branch and tags are refused, and as a rule deletions and force-pushes, too; git prints the reason. What you leave uncommitted is committed and pushed for you at the end of the task.",
        ].join("\n");
  return [
    `You work in a sandbox: a container of your own, as root. Nobody sits at its terminal; the person reads your messages, and answers when you ask with ${asksWith}.`,
    where,
    "The sandbox has no network of its own. All that leaves it passes the proxy at $HTTP_PROXY, which lets through the model, git for the repositories above, and what the environment allows; anything else is refused with a reason. Do not try to get around a refusal: say what you would have needed.",
    ...(network === undefined ? [] : [network]),
  ].join("\n\n");
}
