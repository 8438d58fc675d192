import type { TaskEvent } from "../src/domain/event.ts";
import type { TextLine } from "../src/domain/text-line.ts";
import { createTranscriptText } from "../src/domain/transcript-text.ts";
import { cellText, selected, styled, wrap } from "./cells.ts";

/** More lines than this nobody reads in a terminal; the oldest go, and a line says so. */
const maxLines = 20_000;
const maxCharacters = 8 * 1024 * 1024;

/** A task's transcript as a window of lines, at its end unless the person has scrolled up. */
export interface Transcript {
  add(events: readonly TaskEvent[]): void;
  /** Moves the window; to the end with Infinity, to the start with -Infinity. */
  scroll(by: number): void;
  /** The lines in the window, styled, each at most `columns` cells. */
  window(columns: number, rows: number): string[];
  /** Lines below the window. */
  below(): number;
  /** Shows the place of this event, marked, as soon as it has come. */
  showAt(seq: number): void;
}

export function createTranscript(limit = maxLines): Transcript {
  const text = createTranscriptText({ outputLines: 12 });
  const lines: TextLine[] = [];
  let characters = 0;
  let wrapped: string[] = [];
  let wrappedFor = 0;
  /** How many of `lines` are in `wrapped`. */
  let done = 0;
  let dropped = false;
  /** First line of the window; undefined while it keeps to the end. */
  let top: number | undefined;
  let rowsShown = 0;
  let total = 0;
  /** First wrapped row of each of `lines`. */
  let rowOf: number[] = [];
  /** Lines that were dropped. */
  let gone = 0;
  /** The place that is looked for; its line, counted with those that were dropped, once it has come. */
  let place: { seq: number; line: number | undefined; left: boolean } | undefined;

  const wrapLine = ({ tone, text: words }: TextLine, columns: number) =>
    wrap(cellText(words), columns).map((part) => styled(part, tone));

  /** Drops in portions: each costs a new wrapping of what is left. */
  function trim(): void {
    const long = characters > maxCharacters;
    const over = long ? Math.ceil(lines.length / 2) : lines.length - limit;
    if (!long && over < limit / 10) return;
    for (const { text: words } of lines.splice(0, over)) characters -= words.length;
    dropped = true;
    gone += over;
    wrapped = [];
    rowOf = [];
    done = 0;
  }

  /** The wrapped row of the place, without the line that tells of dropped ones. */
  const placeRow = (): number | undefined =>
    place?.line === undefined ? undefined : rowOf[Math.max(0, place.line - gone)];

  return {
    add(events) {
      for (const { seq, body } of events) {
        if (place !== undefined && place.line === undefined && seq >= place.seq) {
          place.line = gone + lines.length;
        }
        for (const line of text.add(body)) {
          lines.push(line);
          characters += line.text.length;
        }
      }
      trim();
    },
    scroll(by) {
      if (place !== undefined) place.left = true;
      const last = Math.max(0, total - rowsShown);
      const to = Math.min(last, Math.max(0, (top ?? last) + by));
      top = to >= last && by > 0 ? undefined : to;
    },
    window(columns, rows) {
      if (columns !== wrappedFor) {
        wrapped = [];
        rowOf = [];
        done = 0;
        wrappedFor = columns;
      }
      for (; done < lines.length; done++) {
        const line = lines[done];
        rowOf.push(wrapped.length);
        if (line !== undefined) wrapped.push(...wrapLine(line, columns));
      }
      const pending = text
        .pending()
        .slice(-rows)
        .flatMap((line) => wrapLine(line, columns));
      const head = dropped
        ? [styled("· Earlier lines are left out: `ccw-server task follow` has them.", "dim")]
        : [];
      total = head.length + wrapped.length + pending.length;
      rowsShown = rows;
      const found = placeRow();
      // With a little of what stands before it, until the person goes elsewhere.
      if (found !== undefined && place?.left === false)
        top = Math.max(0, Math.min(head.length + found - 2, total - rows));
      const first = Math.min(top ?? Number.POSITIVE_INFINITY, Math.max(0, total - rows));
      const at = (index: number): string =>
        (found !== undefined && index === head.length + found && wrapped[found] !== undefined
          ? selected(wrapped[found])
          : undefined) ??
        head[index] ??
        wrapped[index - head.length] ??
        pending[index - head.length - wrapped.length] ??
        "";
      return Array.from({ length: Math.min(rows, total - first) }, (_, index) => at(first + index));
    },
    showAt(seq) {
      place = { seq, line: undefined, left: false };
    },
    below: () => (top === undefined ? 0 : Math.max(0, total - rowsShown - top)),
  };
}
