import type { PullRequestJson } from "../client.ts";
import { ageText } from "../domain/amounts.ts";
import { plainLine, plainText } from "../domain/plain-text.ts";
import { nameOf } from "../domain/pull-request.ts";
import type { TextLine, Tone } from "../domain/text-line.ts";
import { facts, paint } from "./output.ts";

interface ShownPullRequest {
  pullRequest: PullRequestJson;
  commits: { id: string; subject: string }[];
}

const tones: Record<PullRequestJson["checks"][number]["state"], Tone> = {
  passed: "good",
  failed: "bad",
  pending: "warning",
  neutral: "dim",
};

/** A pull request for people; `now` in milliseconds since the epoch. */
export function showPullRequest(
  { pullRequest, commits }: ShownPullRequest,
  now: number,
  colour: boolean,
): string {
  const { follow, checks, comments, state, draft, keptBy } = pullRequest;
  const followed = follow.on
    ? `for up to ${follow.maxRounds} rounds; ${follow.rounds} so far${follow.working ? ", and the agent is at work" : ""}`
    : follow.stopped === ""
      ? "no"
      : `stopped: ${follow.stopped}`;
  const head = facts([
    ["Pull request", nameOf(pullRequest)],
    ["Title", pullRequest.title],
    [
      "State",
      `${draft && state === "open" ? "draft" : state}${keptBy === "appliance" ? ", kept by the appliance" : ""}`,
    ],
    ["Page", pullRequest.webUrl],
    ["Branch", `${pullRequest.head} into ${pullRequest.base}, at ${pullRequest.headCommit.slice(0, 10)}`],
    ["Task", pullRequest.taskId],
    ["Followed", keptBy === "forge" ? followed : ""],
    ["Trouble", pullRequest.trouble],
    ["Opened", `${ageText(now - pullRequest.createdAt)} ago`],
  ]);
  const block = (lines: TextLine[]) =>
    lines.length === 0 ? [] : [lines.map((line) => `${paint(line, colour)}\n`).join("")];
  return [
    head,
    ...block(
      checks.map((check) => ({ tone: tones[check.state], text: plainLine(`${check.state}: ${check.name}`) })),
    ),
    ...block(
      commits.map(({ id, subject }) => ({ tone: "plain", text: plainLine(`${id.slice(0, 10)} ${subject}`) })),
    ),
    ...block(indented(pullRequest.body)),
    ...comments.flatMap(({ author, place, body }) =>
      block([
        { tone: "strong", text: plainLine(`> ${author}${place === undefined ? "" : ` on ${place.path}`}`) },
        ...indented(body),
      ]),
    ),
  ].join("\n");
}

function indented(text: string): TextLine[] {
  const lines = plainText(text).trim();
  return lines === "" ? [] : lines.split("\n").map((line) => ({ tone: "plain", text: `  ${line}` }));
}
