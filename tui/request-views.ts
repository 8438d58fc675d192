import type { AccessRequestJson } from "../src/client.ts";
import { authorityText, decisionInWords, reasonInWords } from "../src/domain/access-words.ts";
import { ageText } from "../src/domain/amounts.ts";
import { fit, selected, styled, width, wrap } from "./cells.ts";
import { currentRequest, type RequestsPage } from "./model.ts";
import { line } from "./rows.ts";

/** One line that says what waits for a decision, none where nothing does. */
export function waitingLine(waiting: readonly AccessRequestJson[], columns: number): string[] {
  const [newest] = waiting;
  if (newest === undefined) return [];
  const begin = " ! Access asked for to ";
  const end = `${waiting.length === 1 ? "" : ` and ${waiting.length - 1} more`}: press r `;
  const host = fromEnd(line(authorityText(newest)), Math.max(1, columns - width(begin) - width(end)));
  return [styled(fit(begin + host + end, columns), "badge")];
}

/** The page of requests: a list, and all there is to know of the one that is selected. */
export function requestLines(page: RequestsPage, columns: number, rows: number, now: number): string[] {
  const { requests } = page;
  if (requests === undefined) return [];
  if (requests.length === 0) return ["", "  No sandbox has asked for a host."];
  const current = currentRequest(page);
  const detail = current === undefined || rows < 10 ? [] : detailLines(current, columns, now);
  const room = Math.max(1, rows - 1 - detail.length);
  const at = Math.max(
    0,
    requests.findIndex(({ id }) => id === current?.id),
  );
  page.top = Math.max(0, Math.min(Math.max(page.top, at - room + 1), at, requests.length - room));
  const hosts = Math.max(10, Math.floor((columns - 17) * 0.55));
  const row = (state: string, host: string, task: string, age: string) =>
    ` ${fit(state, 9)} ${fit(host, hosts)} ${fit(task, Math.max(0, columns - hosts - 17))} ${age.padStart(4)}`;
  const shown = requests.slice(page.top, page.top + room).map((request) => {
    const { word, tone } = stateOf(request);
    const text = row(
      styled(word, tone),
      // Whose host it is stands at its end.
      fromEnd(line(authorityText(request)), hosts),
      line(request.taskTitle),
      ageText(now - request.lastAt),
    );
    return request.id === current?.id ? selected(fit(text, columns)) : text;
  });
  const gap = Array.from({ length: Math.max(0, room - shown.length) }, () => "");
  return [styled(row("STATE", "HOST", "TASK", "AGE"), "dim"), ...shown, ...gap, ...detail];
}

/** What can be done with the selected one. */
export function requestKeys(page: RequestsPage): (readonly [key: string, what: string])[] {
  const request = currentRequest(page);
  const move = [["↑↓", "select"] as const];
  const leave = [["enter", "its task"] as const, ["q", "back"] as const];
  if (request === undefined) return [["q", "back"]];
  // For a task that has ended nothing but its environment can be given leave.
  if (request.state === "expired") return [...move, ["e", "environment"], ...leave];
  if (request.state !== "pending") return [...move, ...leave];
  return [...move, ["o", "once"], ["t", "task"], ["e", "environment"], ["d", "deny"], ...leave];
}

function detailLines(request: AccessRequestJson, columns: number, now: number): string[] {
  const decided = decisionInWords(request);
  const often = request.count === 1 ? "once" : `${request.count} times`;
  // The whole name, up to its 253 characters: its end says whose it is.
  const host = wrap(line(authorityText(request)), columns - 2).slice(0, 4);
  return [
    styled("─".repeat(columns), "dim"),
    ...host.map((part) => ` ${styled(part, "strong")}`),
    ` ${line(`${reasonInWords(request.reason)}; refused ${often}, ${ageText(now - request.lastAt)} ago`)}`,
    ` ${styled(line(`${request.taskTitle}  (${request.taskState}, environment ${request.environment})`), "dim")}`,
    ` ${styled(decided === undefined ? "Nobody has decided yet." : `${line(decided)}.`, stateOf(request).tone)}`,
  ];
}

function stateOf({ state }: AccessRequestJson) {
  switch (state) {
    case "pending":
      return { word: "! asks", tone: "warning" } as const;
    case "denied":
      return { word: "✗ denied", tone: "bad" } as const;
    case "granted":
    case "granted-once":
      return { word: "✓ allowed", tone: "good" } as const;
    case "used":
      return { word: "- used", tone: "dim" } as const;
    case "expired":
      return { word: "- expired", tone: "dim" } as const;
  }
}

function fromEnd(text: string, cells: number): string {
  return width(text) <= cells ? text : `…${Bun.sliceAnsi(text, width(text) - cells + 1)}`;
}
