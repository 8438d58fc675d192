import { plainLine, plainText } from "../domain/plain-text.ts";
import type { TextLine, Tone } from "../domain/text-line.ts";

/**
 * Rows as an aligned table. Every cell is made safe for a terminal. Where `width` is known, the column named in
 * `shrink` gives way first, so that a row stays on one line.
 */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  { width, shrink }: { width: number | undefined; shrink?: string },
): string {
  const cells = rows.map((row) => row.map(plainLine));
  const widths = head.map((title, column) =>
    Math.max(Bun.stringWidth(title), ...cells.map((row) => Bun.stringWidth(row[column] ?? ""))),
  );
  const total = widths.reduce((sum, each) => sum + each, 2 * (head.length - 1));
  const elastic = shrink === undefined ? -1 : head.indexOf(shrink);
  const room = widths[elastic];
  if (width !== undefined && room !== undefined && total > width) {
    widths[elastic] = Math.max(10, room - (total - width));
  }
  return [head, ...cells]
    .map(
      (row) =>
        `${row
          .map((cell, column) => fit(cell, widths[column] ?? 0))
          .join("  ")
          .trimEnd()}\n`,
    )
    .join("");
}

/** Name and value in two columns; what has no value is left out. */
export function facts(rows: readonly (readonly [name: string, value: string])[]): string {
  const given = rows.filter(([, value]) => value !== "");
  const width = Math.max(...given.map(([name]) => name.length));
  return given
    .map(
      ([name, value]) =>
        `${name.padEnd(width)}  ${plainText(value).replaceAll("\n", `\n${" ".repeat(width + 2)}`)}\n`,
    )
    .join("");
}

/** JSON for machines, which a terminal can show without harm: C1 and format characters are escaped. */
export function jsonText(value: unknown, indent?: 2): string {
  const text = JSON.stringify(value, null, indent) ?? "null";
  return `${text.replace(/[\x7f-\x9f]|\p{Cf}/gu, (character) =>
    [...Array(character.length).keys()]
      .map((index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, "0")}`)
      .join(""),
  )}\n`;
}

const codes: Record<Tone, string> = {
  plain: "",
  dim: "2",
  strong: "1",
  tool: "36",
  good: "32",
  warning: "33",
  bad: "31",
};

export function paint({ tone, text }: TextLine, colour: boolean): string {
  return colour && codes[tone] !== "" && text !== "" ? `\x1b[${codes[tone]}m${text}\x1b[0m` : text;
}

function fit(text: string, width: number): string {
  const has = Bun.stringWidth(text);
  if (has <= width) return text + " ".repeat(width - has);
  const head = Bun.sliceAnsi(text, 0, width - 1);
  // A wide character that would stand across the edge is left out.
  const cut = `${Bun.stringWidth(head) < width ? head : Bun.sliceAnsi(text, 0, width - 2)}…`;
  return cut + " ".repeat(Math.max(0, width - Bun.stringWidth(cut)));
}
