import type { TaskJson } from "../src/client.ts";
import { ageText, countText } from "../src/domain/amounts.ts";
import { nameOf } from "../src/domain/pull-request.ts";
import { pauseText } from "../src/domain/steering-words.ts";
import { fit, styled, width } from "./cells.ts";
import type { Model } from "./model.ts";
import { waitingLine } from "./request-views.ts";
import { line } from "./rows.ts";
import { costText, states } from "./states.ts";

/** A task's heading, and its transcript below. */
export function taskLines(
  model: Model,
  { task, transcript }: Extract<Model["page"], { kind: "task" }>,
  columns: number,
  rows: number,
  now: number,
): string[] {
  const { mark, style } = states[task.state];
  const right = `${ageText(now - task.createdAt)}  ${countText(task.inputTokens + task.outputTokens)} tokens  ${costText(task)} `;
  const state = ` ${mark} ${task.state} `;
  const title = fit(line(task.title), Math.max(0, columns - width(state) - width(right) - 2));
  const mine = model.requests.filter(({ taskId }) => taskId === task.id);
  const waiting = rows < 5 ? [] : waitingLine(mine, columns);
  const reviews = rows < 8 ? [] : [...holdLines(task, columns, now), ...reviewLines(task, columns)];
  const lines = transcript
    .window(columns - 2, rows - 2 - waiting.length - reviews.length)
    .map((each) => ` ${each}`);
  const below = transcript.below();
  const rule =
    below === 0
      ? "─".repeat(columns)
      : fit(`${"─".repeat(columns - 26)} ${below} more lines below `, columns);
  return [
    `${styled(state, style)} ${styled(title, "strong")} ${styled(right, "dim")}`,
    ...reviews,
    ...waiting,
    styled(rule, "dim"),
    ...(lines.length === 0 && model.connection === "up"
      ? [styled(" Nothing has happened yet.", "dim")]
      : lines),
  ];
}

/** Why it does not go on by itself, in one line; none while it does. */
function holdLines({ paused, held }: TaskJson, columns: number, now: number): string[] {
  if (paused === undefined)
    return held
      ? [fit(styled(" Interrupted: its prompts are held. u lets it go on.", "warning"), columns)]
      : [];
  const until = paused.until === undefined ? "" : ` It goes on in ${ageText(paused.until - now)}.`;
  const words = line(pauseText(paused));
  return [fit(` ${styled(`${words}${until} u lets it go on now.`, "warning")}`, columns)];
}

/** The task's pull requests, in one line; none while there are none. */
function reviewLines({ pullRequests }: TaskJson, columns: number): string[] {
  if (pullRequests.length === 0) return [];
  const shown = pullRequests.map((one) => {
    const state = one.draft && one.state === "open" ? "draft" : one.state;
    return styled(line(`${nameOf(one)} ${state}`), one.state === "merged" ? "good" : "plain");
  });
  return [fit(` ${styled("Pull requests:", "dim")} ${shown.join("  ")}`, columns)];
}
