import type { TaskJson } from "../client.ts";
import { ageText, countText } from "../domain/amounts.ts";
import { plainLine, plainText } from "../domain/plain-text.ts";
import { nameOf } from "../domain/pull-request.ts";
import { questionLines } from "../domain/question-text.ts";
import { attachmentText } from "../domain/steering-words.ts";
import type { TextLine } from "../domain/text-line.ts";
import { costText } from "../domain/usage-report.ts";
import { facts, paint } from "./output.ts";

interface ShownTask {
  task: TaskJson;
  prompts: ShownPrompt[];
  questions: { requestId: string; tool: string; input: unknown; askedAt: number }[];
}

interface ShownPrompt {
  person: string;
  text: string;
  state: string;
  position?: number | undefined;
  attachments: { name: string; bytes: number }[];
}

/** A task for people; `now` in milliseconds since the epoch. */
export function showTask({ task, prompts, questions }: ShownTask, now: number, colour: boolean): string {
  const head = facts([
    ["Task", task.id],
    ["Title", task.title],
    [
      "State",
      task.queuePosition === undefined
        ? task.state
        : `${task.state}, number ${task.queuePosition} of the queue`,
    ],
    ["", task.detail],
    [
      "",
      task.paused?.until === undefined ? "" : `It goes on by itself in ${ageText(task.paused.until - now)}.`,
    ],
    ["", task.held ? "Its prompts are held: `ccw-server task resume` lets it go on." : ""],
    ["Sandbox", task.sandbox.state === "none" ? "" : task.sandbox.state],
    ["Person", task.person],
    ["Environment", task.environment],
    ["Agent", [task.agent, task.model, task.mode === "plan" ? "plans first" : ""].filter(Boolean).join(", ")],
    ...task.repositories.map(
      ({ name, baseBranch, workBranch }) =>
        ["Repository", `${name}: ${workBranch} from ${baseBranch}`] as const,
    ),
    ...task.pullRequests.map(
      (one) =>
        [
          "Pull request",
          `${nameOf(one)}: ${one.draft && one.state === "open" ? "draft" : one.state}`,
        ] as const,
    ),
    ...(task.pullRequest === "none"
      ? []
      : [["Pull request", `opened by itself when the task completes (${task.pullRequest})`] as const]),
    ...(task.attempt === undefined
      ? []
      : [["Attempt", `${task.attempt.number} of ${task.attempt.of}, see ${task.attempt.groupId}`] as const]),
    ...task.kept.map(
      ({ repository, branch, commit, until }) =>
        [
          "Kept",
          `${branch} of ${repository} at ${commit.slice(0, 10)}, which its forge did not take: ccw-server task push ${task.id}${
            until === undefined ? "" : `\nIt is removed in ${ageText(until - now)}.`
          }`,
        ] as const,
    ),
    ["Tokens", `${countText(task.inputTokens)} in, ${countText(task.outputTokens)} out`],
    ["Cost", costText(task.costUsd, task.unpricedRequests)],
    ["Submitted", `${ageText(now - task.createdAt)} ago`],
    ["Changed", `${ageText(now - task.updatedAt)} ago`],
  ]);
  const asked = questions.flatMap(({ tool, input, askedAt }): TextLine[] => [
    { tone: "dim", text: `Asked ${ageText(now - askedAt)} ago:` },
    ...questionLines(tool, input),
  ]);
  const said = prompts.flatMap(({ person, text, state, position, attachments }): TextLine[] => [
    { tone: "strong", text: `> ${plainLine(person)}${stateText(state, position)}` },
    ...attachments.map((file) => ({ tone: "dim" as const, text: `  [${plainLine(attachmentText(file))}]` })),
    ...plainText(text)
      .split("\n")
      .map((line) => ({ tone: "plain" as const, text: `  ${line}` })),
  ]);
  const show = (lines: TextLine[]) => lines.map((line) => `${paint(line, colour)}\n`).join("");
  return [head, show(said), ...(asked.length > 0 ? [show(asked)] : [])].join("\n");
}

function stateText(state: string, position: number | undefined): string {
  if (state === "taken") return "";
  return position === undefined ? ` (${state})` : ` (number ${position} in line)`;
}
