import { usdText } from "../src/domain/amounts.ts";
import { cellText, fit, styled, width, wrap } from "./cells.ts";
import { diffPageLines } from "./diff-page.ts";
import { helpLines, keysOf } from "./keys.ts";
import { listLines } from "./list-page.ts";
import type { Model } from "./model.ts";
import { queueLines } from "./queue-page.ts";
import { requestLines } from "./request-views.ts";
import { line } from "./rows.ts";
import { searchLines } from "./search-page.ts";
import { taskLines } from "./task-page.ts";
import { turnLines } from "./turns-page.ts";

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
    case "queue":
      return queueLines(model.page, columns, rows, now);
    case "turns":
      return turnLines(model.page, columns, rows, now);
    case "diff":
      return diffPageLines(model.page, columns, rows);
    case "search":
      return searchLines(model.page, columns, rows, now);
  }
}

function header({ status, connection, url }: Model, columns: number): string {
  const name = ` ccw-server ${status?.version ?? ""} `;
  if (connection === "lost") {
    return styled(fit(`${name}  NO CONNECTION to ${cellText(url)}; trying again …`, columns), "badge");
  }
  if (status === undefined) return styled(fit(`${name}  connecting to ${cellText(url)} …`, columns), "bar");
  const { engine, model, active, parallel, queued, person, todayUsd } = status;
  const today = todayUsd === undefined || columns < 72 ? "" : `${usdText(todayUsd * 1e9)} today  `;
  const right = ` ${active}/${parallel} running  ${queued} queued  ${today}${line(person)} `;
  const engineText = engine.ok ? line(engine.text) : "ENGINE NOT READY";
  const modelText =
    model.kind === "demo"
      ? " DEMO MODEL "
      : model.kind === "none"
        ? " NO MODEL "
        : ` ${line(model.baseUrl)} `;
  const room = columns - width(right);
  const whole = `${name} ${engineText}  `;
  // That the model is a demo is said before how well the engine is.
  const left = engine.ok && width(whole) + Math.min(width(modelText), 14) > room ? `${name} ` : whole;
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

/** One or two rows; more while a long question is asked. */
function footer(model: Model, columns: number): string[] {
  if (model.asking !== undefined) return question(model.asking, columns);
  if (model.message !== undefined) {
    return [fit(` ${styled(line(model.message.text), model.message.tone)}`, columns)];
  }
  const filter = model.filter === "" || model.page.kind !== "list" ? "" : `  filter: ${line(model.filter)}`;
  const rows: string[] = [""];
  for (const [key, what] of model.help ? [["any key", "back"] as const] : keysOf(model)) {
    const last = rows.at(-1) ?? "";
    const word = `${styled(key, "key")} ${what}`;
    if (last !== "" && width(last) + width(word) + 3 > columns) rows.push(word);
    else rows[rows.length - 1] = last === "" ? word : `${last}  ${word}`;
  }
  rows[rows.length - 1] += filter;
  return rows.map((row) => fit(` ${row}`, columns));
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
