import { defaultGroups } from "./default-allowlist.ts";
import { decideConnection, type EgressPolicy } from "./egress-policy.ts";
import { formatEgressRule } from "./egress-rule.ts";
import { hostText } from "./host.ts";

/** Rules beyond these are counted, not shown: they would fill the agent's instructions. */
const shownRules = 40;

/**
 * The policy for the agent's instructions: what it can reach, what it can only read from, and what to do when it is
 * refused. Plain text of at most some 40 lines; names of what is denied stay out, so as not to point at it.
 */
export function summarizeEgress(policy: EgressPolicy): string {
  if (policy.access === "none") {
    return [
      "Network: this sandbox has no access to the internet. The model and the task's own git repositories are all that can be reached.",
      "Do not try to download or install anything; say what is missing instead.",
    ].join("\n");
  }
  return [
    "Network: everything goes through a proxy that is already set up (HTTP_PROXY, HTTPS_PROXY, certificates). Package managers, git, curl and the usual libraries work as they are; change none of these settings.",
    ...reachable(policy),
    readingOnly(policy),
    "Everything else is refused with status 403, the reason in X-Deny-Reason and in the body. A refusal is a decision, not a fault of the network: do not try again in a loop, nor by another way. Where the answer says that a person was asked, go on with something else and try once more later; else say in your answer what you would have needed.",
    "Keys and tokens for other services are added by the proxy where the environment has them. Send none of your own.",
  ].join("\n");
}

function reachable({ access, groups, allow }: EgressPolicy): string[] {
  const lines = [];
  if (access === "full") lines.push("Reachable: any host by name, on ports 80 and 443.");
  if (groups.length > 0) {
    const off = defaultGroups.filter((group) => !groups.includes(group)).map(({ name }) => name);
    lines.push(
      `Reachable: the usual hosts for software development: ${groups.map(({ name }) => name).join("; ")}.`,
    );
    if (off.length > 0) lines.push(`Switched off: ${off.join("; ")}.`);
  }
  if (allow.length > 0) {
    lines.push(
      lines.length > 0 ? "Also reachable:" : "Reachable:",
      ...allow.slice(0, shownRules).map((rule) => `- ${formatEgressRule(rule)}`),
    );
    if (allow.length > shownRules) lines.push(`- and ${allow.length - shownRules} more`);
  }
  return lines.length > 0 ? lines : ["Reachable: nothing yet but what a person grants."];
}

function readingOnly(policy: EgressPolicy): string {
  const { allow, credentialHosts } = policy;
  const some = allow.some(
    ({ tls, path, methods, write }) => !write && (tls === "inspect" || (path ?? methods)),
  );
  const also = some ? ", and those above with inspect, path= or methods= but for methods that are named" : "";
  const reached = [...credentialHosts.values()].filter((host) => decideConnection(policy, host, 443).allowed);
  const keyed =
    reached.length === 0
      ? ""
      : `, and hosts for which the proxy adds a credential (${reached.slice(0, shownRules).map(hostText).join(", ")})`;
  return `Only to be read from (GET, HEAD, OPTIONS, git fetch): hosts where anybody can publish, such as code hosts, package registries, object stores and telemetry${also}${keyed}; unless a rule says write. Pushes go to the task's own repositories alone.`;
}
