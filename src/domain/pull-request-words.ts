import type { ApplianceEvent } from "./event.ts";
import { nameOf } from "./pull-request.ts";

type PullRequestEvent = Extract<ApplianceEvent, { kind: `pull_request_${string}` }>;

/** What happened to a pull request, as a sentence without its full stop. */
export function pullRequestInWords(event: PullRequestEvent): string {
  const what = `${nameOf(event)}${event.webUrl === "" ? "" : ` (${event.webUrl})`}`;
  const by = event.person === "" ? "" : ` by ${event.person}`;
  switch (event.kind) {
    case "pull_request_opened":
      return `${event.draft ? "Draft pull request" : "Pull request"} ${what} opened${by}: ${event.title}`;
    case "pull_request_updated":
      return `Pull request ${what} ${event.detail}${event.person === "" ? "" : ` (${event.person})`}`;
    case "pull_request_merged":
      return `Pull request ${what} merged${by}`;
    case "pull_request_closed":
      return `Pull request ${what} closed${by} without being merged`;
  }
}
