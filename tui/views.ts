import type { TaskJson } from "../src/client.ts";
import { ageText, countText } from "../src/domain/amounts.ts";
import { plainLine } from "../src/domain/plain-text.ts";
import { nameOf } from "../src/domain/pull-request.ts";
import { pauseInWords } from "../src/domain/steering-words.ts";
import { cellText, fit, type Style, selected, styled, width, wrap } from "./cells.ts";
import { canCancel, currentTask, isHeldUp, type Model, shownTasks, turnRuns } from "./model.ts";
import { requestKeys, requestLines, waitingLine } from "./request-views.ts";

/** The whole screen, one styled string a row, for `now` in milliseconds since the epoch. */
export function draw(model: Model, columns: number, rows: number, now: number): string[] {
  const foot = footer(model, columns).slice(-Math.max(1, rows - 2));
  const body = Math.max(1, rows - 1 - foot.length);
  const middle = model.help ? helpLines() : pageLines(model, columns, body, now);
  const filled = Array.from({ length: body }, (_, index) => fit(middle[index] ?? "", columns));
  return [header(model, columns), ...filled, ...foot];
}

function pageLines(model: Model, columns: number, rows: number, now: number): string[] {
  switch (model.page.kind) {
    case "list":
      return listLines(model, columns, rows, now);
    case "task":
      return taskLines(model, model.page, columns, rows, now);
    case "requests":
      return requestLines(model.page, columns, rows, now);
  }
}

function header({ status, connection, url }: Model, columns: number): string {
  const name = ` ccw-server ${status?.version ?? ""} `;
  if (connection === "lost") {
    return styled(fit(`${name}  NO CONNECTION to ${cellText(url)}; trying again …`, columns), "badge");
  }
  if (status === undefined) return styled(fit(`${name}  connecting to ${cellText(url)} …`, columns), "bar");
  const { engine, model, active, parallel, queued, person } = status;
  const right = ` ${active}/${parallel} running  ${queued} queued  ${line(person)} `;
  const engineText = engine.ok ? line(engine.text) : "ENGINE NOT READY";
  const modelText =
    model.kind === "demo"
      ? " DEMO MODEL "
      : model.kind === "none"
        ? " NO MODEL "
        : ` ${line(model.baseUrl)} `;
  const left = `${name} ${engineText}  `;
  const room = columns - width(right);
  return (
    styled(fit(left, Math.min(width(left), room)), "bar") +
    styled(
      fit(modelText, Math.min(width(modelText), room - width(left))),
      model.kind === "endpoint" ? "bar" : "badge",
    ) +
    styled(
      " ".repeat(Math.max(0, room - width(left) - width(modelText))) +
        fit(right, Math.min(columns, width(right))),
      "bar",
    )
  );
}

const states: Record<TaskJson["state"], { mark: string; style: Style }> = {
  queued: { mark: "○", style: "dim" },
  starting: { mark: "◌", style: "tool" },
  running: { mark: "●", style: "tool" },
  waiting: { mark: "?", style: "warning" },
  finishing: { mark: "●", style: "tool" },
  idle: { mark: "✓", style: "good" },
  paused: { mark: "=", style: "warning" },
  completed: { mark: "✓", style: "good" },
  failed: { mark: "✗", style: "bad" },
  cancelled: { mark: "-", style: "dim" },
};

function listLines(model: Model, columns: number, rows: number, now: number): string[] {
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
  const titles = Math.max(10, columns - 43 - (repositories === 0 ? 0 : repositories + 2));
  const row = (cells: {
    state: string;
    title: string;
    repository: string;
    person: string;
    age: string;
    tokens: string;
  }) =>
    [
      ` ${fit(cells.state, 13)}`,
      fit(cells.title, titles),
      ...(repositories === 0 ? [] : [fit(cells.repository, repositories)]),
      fit(cells.person, 9),
      cells.age.padStart(4),
      `${cells.tokens.padStart(6)}`,
    ].join("  ");
  const head = row({
    state: "STATE",
    title: "TITLE",
    repository: "REPOSITORY",
    person: "PERSON",
    age: "AGE",
    tokens: "TOKENS",
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

function taskLines(
  model: Model,
  { task, transcript }: Extract<Model["page"], { kind: "task" }>,
  columns: number,
  rows: number,
  now: number,
): string[] {
  const { mark, style } = states[task.state];
  const right = `${ageText(now - task.createdAt)}  ${countText(task.inputTokens + task.outputTokens)} tokens `;
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
  const words = line(`${pauseInWords[paused.why]}: ${paused.reason}`);
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

/** One row; more while a long question is asked. */
function footer(model: Model, columns: number): string[] {
  if (model.asking !== undefined) return question(model.asking, columns);
  if (model.message !== undefined) {
    return [fit(` ${styled(line(model.message.text), model.message.tone)}`, columns)];
  }
  const keys = model.help ? [["any key", "back"] as const] : keysOf(model);
  const filter = model.filter === "" || model.page.kind !== "list" ? "" : `  filter: ${line(model.filter)}`;
  const shown = keys.map(([key, what]) => `${styled(key, "key")} ${what}`).join("  ");
  return [fit(` ${shown}${filter}`, columns)];
}

/** What can be done here. */
function keysOf(model: Model): (readonly [key: string, what: string])[] {
  const task = currentTask(model);
  const cancel = task !== undefined && canCancel(task) ? [["c", "stop"] as const] : [];
  const answer = task?.state === "waiting" ? [["a", "answer"] as const] : [];
  if (model.page.kind === "requests") return requestKeys(model.page);
  if (model.page.kind === "list") {
    const open = task === undefined ? [] : [["↑↓", "select"] as const, ["enter", "open"] as const];
    return [...open, ...answer, ["n", "new"], ...cancel, ["/", "filter"], ["?", "help"], ["q", "quit"]];
  }
  const interrupt = task !== undefined && turnRuns(task) ? [["i", "interrupt"] as const] : [];
  const resume = task !== undefined && isHeldUp(task) ? [["u", "go on"] as const] : [];
  const steer = [["p", "prompt"] as const, ...interrupt, ...resume, ...cancel];
  return [["↑↓", "scroll"], ["G", "end"], ...answer, ...steer, ["?", "help"], ["q", "back"]];
}

/** A short question stands before what is typed, a long one above it. */
function question({ label, text }: { label: string; text: string }, columns: number): string[] {
  const words = line(label);
  const above = width(words) > columns / 2 ? wrap(words, columns - 2).slice(0, 6) : [];
  const before = above.length === 0 ? `${words} ` : "";
  // The end of what is typed is what the person looks at.
  const room = columns - width(before) - 3;
  const typed = cellText(text);
  const end = width(typed) > room ? `…${Bun.sliceAnsi(typed, width(typed) - room + 1)}` : typed;
  return [
    ...above.map((part) => fit(` ${styled(part, "key")}`, columns)),
    fit(` ${styled(before, "key")}${end}${styled(" ", "bar")}`, columns),
  ];
}

function helpLines(): string[] {
  const rows = [
    ["↑ ↓ k j", "select a task, or scroll its transcript"],
    ["PgUp PgDn space", "a page at a time"],
    ["g G", "to the start, to the end"],
    ["enter", "open the transcript of the selected task; it goes on live"],
    ["q escape", "back to the list; in the list q leaves, and nothing stops because of it"],
    ["", ""],
    ["n", "submit a new task"],
    ["p", "send one more prompt to the task; one that rests goes on"],
    ["P", "send a prompt that does not wait for the turn that runs"],
    ["a", "answer what the agent asks"],
    ["i", "interrupt the agent: its turn ends, the task stays, its prompts are held"],
    ["u", "let a task go on that is paused or held"],
    ["c", "stop the task"],
    ["r", "the requests for access, of all tasks"],
    ["o t e d", "there: allow once, the task, the environment; deny"],
    ["/", "show only tasks that contain some words; escape shows all again"],
    ["C-l", "draw the screen anew"],
  ];
  return ["", ...rows.map(([keys, what]) => `  ${styled(fit(keys ?? "", 17), "key")} ${what}`)];
}

function line(text: string): string {
  return cellText(plainLine(text));
}
