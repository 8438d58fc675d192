import { plainText } from "../src/domain/plain-text.ts";
import type { Tone } from "../src/domain/text-line.ts";

/**
 * Text as the cells of a terminal. Colours are written as SGR sequences, which blessed takes in content; its own
 * `{tags}` stay switched off, so that no text from outside can mean one.
 */

export type Style = Tone | "bar" | "badge" | "key";

const codes: Record<Style, string> = {
  plain: "",
  dim: "90",
  strong: "1",
  tool: "36",
  good: "32",
  warning: "33",
  bad: "31",
  bar: "44;97",
  badge: "43;30",
  key: "1",
};

export function styled(text: string, style: Style): string {
  return codes[style] === "" || text === "" ? text : `\x1b[${codes[style]}m${text}\x1b[0m`;
}

export function selected(line: string): string {
  // Colours within would end the inversion.
  return `\x1b[7m${withoutStyles(line)}\x1b[0m`;
}

export function width(text: string): number {
  return Bun.stringWidth(text);
}

/** Cut or filled to exactly `cells`; sequences count nothing. */
export function fit(text: string, cells: number): string {
  if (cells <= 0) return "";
  const cut = width(text) <= cells ? text : `${head(text, cells - 1)}…`;
  return cut + " ".repeat(Math.max(0, cells - width(cut)));
}

/** A wide character that would stand across the edge is left out. */
function head(text: string, cells: number): string {
  const cut = Bun.sliceAnsi(text, 0, cells);
  return width(cut) <= cells ? cut : Bun.sliceAnsi(text, 0, cells - 1);
}

/** Broken at spaces where it can be, to lines of at most `cells`; the lines after the first keep the indent. */
export function wrap(text: string, cells: number): string[] {
  if (width(text) <= cells) return [text];
  const indent = text.match(/^(?:\s*(?:[|>*?!=·~] )?)/)?.[0].length ?? 0;
  const margin = indent < cells / 2 ? indent : 0;
  const hanging = text.slice(0, margin).replace(/[^|\s]/g, " ");
  return Bun.wrapAnsi(text.slice(margin), cells - margin, { hard: true, trim: false })
    .split("\n")
    .map((line, index) => (index === 0 ? text.slice(0, margin) + line : hanging + line.replace(/^ /, "")));
}

/**
 * Text from outside in characters of one or two cells each, on which every terminal agrees: joined emoji fall apart
 * into single ones, and the marks that ask for another picture go.
 */
export function cellText(text: string): string {
  return plainText(text).replace(/\u200c|\u200d|[\ufe00-\ufe0f]|[\u{e0100}-\u{e01ef}]/gu, "");
}

function withoutStyles(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: SGR sequences are what is looked for
  return text.replace(/\x1b\[[0-9;]*m/g, "");
}
