import { type SearchTerm, type SnippetPart, unspacedLetters } from "./search.ts";

const around = 60;
const length = 220;

/** The first place in a text where what was looked for stands, in one line; the beginning where it is not found. */
export function snippetOf(text: string, terms: readonly SearchTerm[]): SnippetPart[] {
  const folded = fold(text);
  const hits = hitsOf(folded, terms);
  const first = hits[0]?.start ?? 0;
  const from = first <= around ? 0 : wordStart(text, first - around);
  const to = Math.min(text.length, from + length);
  const parts: SnippetPart[] = [];
  const add = (start: number, end: number, hit: boolean) => {
    const part = text.slice(start, end).toWellFormed().replace(/\s+/g, " ");
    if (part !== "") parts.push({ text: part, hit });
  };
  if (from > 0) parts.push({ text: "…", hit: false });
  let at = from;
  for (const { start, end } of hits) {
    if (start < at || end > to) continue;
    add(at, start, false);
    add(start, end, true);
    at = end;
  }
  add(at, to, false);
  if (to < text.length) parts.push({ text: "…", hit: false });
  return parts;
}

function hitsOf(folded: string, terms: readonly SearchTerm[]): { start: number; end: number }[] {
  return terms
    .flatMap(({ words, prefix }) => {
      const inside = words.map((word) => fold(word).replace(/[^\p{L}\p{N}]/gu, "\\$&")).join(between);
      const pattern = new RegExp(`(?<!${letter})${inside}${prefix ? "" : `(?!${letter})`}`, "g");
      return [...folded.matchAll(pattern)].slice(0, 20).map(({ 0: found, index }) => ({
        start: index,
        end: index + found.length,
      }));
    })
    .sort((a, b) => a.start - b.start || b.end - a.end);
}

// Without the `u` flag, as everything here counts UTF-16 units: what is no ASCII sign counts as a letter.
const letters = "0-9a-z\\u00aa-\\uffff";
/** One that makes words with its neighbours. */
const letter = `(?![${unspacedLetters}])[${letters}]`;
/** Nothing need stand beside a letter that is a word by itself. */
const between = `(?:[^${letters}]+|(?<=[${unspacedLetters}])|(?=[${unspacedLetters}]))`;

/** Small letters without their marks, unit by unit, so that places stay what they are. */
function fold(text: string): string {
  let folded = "";
  for (let index = 0; index < text.length; index++) {
    const unit = text.charAt(index);
    folded +=
      unit < "\u0080" ? unit.toLowerCase() : unit.normalize("NFD").charAt(0).toLowerCase().charAt(0) || unit;
  }
  return folded;
}

function wordStart(text: string, at: number): number {
  const blank = text.slice(at, at + around).search(/\s/);
  return blank === -1 ? at : at + blank + 1;
}
