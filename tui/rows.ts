import { plainLine } from "../src/domain/plain-text.ts";
import { cellText, fit, selected } from "./cells.ts";

/** Rows of which one is selected, in a window that follows it. */
export interface Rows {
  /** From 0. */
  at: number;
  /** First row of the window. */
  top: number;
}

export function moveIn(rows: Rows, count: number, by: number): void {
  rows.at = Math.max(0, Math.min(count - 1, rows.at + by));
}

/** The window, exactly `room` lines; the selected row is inverted. */
export function windowOf(rows: Rows, texts: readonly string[], columns: number, room: number): string[] {
  rows.at = Math.max(0, Math.min(texts.length - 1, rows.at));
  rows.top = Math.max(0, Math.min(Math.max(rows.top, rows.at - room + 1), rows.at, texts.length - room));
  return Array.from({ length: Math.max(0, room) }, (_, index) => {
    const text = texts[rows.top + index] ?? "";
    return rows.top + index === rows.at ? selected(fit(text, columns)) : text;
  });
}

/** Text from outside in one line of cells. */
export function line(text: string): string {
  return cellText(plainLine(text));
}
