import type { TaskJson } from "../src/client.ts";
import { ageText, countText } from "../src/domain/amounts.ts";
import { fit, selected, styled, wrap } from "./cells.ts";
import { currentTask, type Model, shownTasks } from "./model.ts";
import { waitingLine } from "./request-views.ts";
import { line } from "./rows.ts";
import { costText, states } from "./states.ts";

/** The list of tasks, and what the selected one is about. */
export function listLines(model: Model, columns: number, rows: number, now: number): string[] {
  const tasks = shownTasks(model);
  if (tasks.length === 0) return emptyList(model);
  const current = currentTask(model);
  const waiting = waitingLine(model.requests, columns);
  const detail = [
    ...(current === undefined || rows < 12 ? [] : detailLines(current, columns)),
    ...(rows < 4 ? [] : waiting),
  ];
  const room = rows - 1 - detail.length;
  const at = Math.max(
    0,
    tasks.findIndex(({ id }) => id === current?.id),
  );
  model.top = Math.max(0, Math.min(Math.max(model.top, at - room + 1), at, tasks.length - room));
  const repositories = columns >= 110 ? 24 : 0;
  const titles = Math.max(10, columns - 54 - (repositories === 0 ? 0 : repositories + 2));
  const row = (cells: {
    state: string;
    title: string;
    repository: string;
    person: string;
    age: string;
    tokens: string;
    cost: string;
  }) =>
    [
      ` ${fit(cells.state, 13)}`,
      fit(cells.title, titles),
      ...(repositories === 0 ? [] : [fit(cells.repository, repositories)]),
      fit(cells.person, 9),
      cells.age.padStart(4),
      cells.tokens.padStart(6),
      cells.cost.padStart(9),
    ].join("  ");
  const head = row({
    state: "STATE",
    title: "TITLE",
    repository: "REPOSITORY",
    person: "PERSON",
    age: "AGE",
    tokens: "TOKENS",
    cost: "COST",
  });
  const shown = tasks.slice(model.top, model.top + room).map((task) => {
    const asks = model.requests.some(({ taskId }) => taskId === task.id);
    const { mark, style } = asks ? { mark: "!", style: "warning" as const } : states[task.state];
    const place = task.queuePosition === undefined ? "" : ` #${task.queuePosition}`;
    const text = row({
      state: styled(`${mark} ${task.state}${place}`, style),
      title: line(task.title),
      repository: line(task.repositories.map(({ name }) => name).join(", ")),
      person: line(task.person),
      age: ageText(now - task.createdAt),
      tokens: countText(task.inputTokens + task.outputTokens),
      cost: costText(task),
    });
    return task.id === current?.id ? selected(fit(text, columns)) : text;
  });
  const gap = Array.from({ length: room - shown.length }, () => "");
  return [styled(head, "dim"), ...shown, ...gap, ...detail];
}

/** What the selected task is about, below the list. */
function detailLines(task: TaskJson, columns: number): string[] {
  const { style } = states[task.state];
  const places = task.repositories.map(({ name, workBranch }) => `${name}: ${workBranch}`).join("  ");
  const words = wrap(line(task.detail), columns - 2);
  return [
    styled("─".repeat(columns), "dim"),
    ` ${styled(line(task.title), "strong")}`,
    ` ${styled(line(`${task.id}  ${task.environment}  ${task.model}  ${places}`), "dim")}`,
    ` ${styled(words[0] ?? "", style)}`,
    ` ${styled(words.length > 2 ? `${words[1]} …` : (words[1] ?? ""), style)}`,
  ];
}

function emptyList({ filter, connection }: Model): string[] {
  if (filter !== "") return ["", `  No task matches “${line(filter)}”. Press / to change the filter.`];
  if (connection === "connecting") return [];
  return [
    "",
    "  There are no tasks yet.",
    "",
    `  Press ${styled("n", "key")} to submit one, or in a shell:`,
    '  ccw-server task create --repo NAME "Say in plain words what is to be done"',
  ];
}
