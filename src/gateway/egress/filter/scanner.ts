import { type Automaton, type Cursor, createAutomaton } from "./automaton.ts";
import { encodedForms, piecesOf } from "./encoded-forms.ts";
import { ignored, type Pattern } from "./trie.ts";
import { createReading, headroom, type Reading, undoEscapes } from "./undo-escapes.ts";

/** Where a value stands in a stream: offsets in bytes from the stream's beginning, `end` is after it. */
export interface Occurrence {
  /** Index of the value. */
  value: number;
  start: number;
  end: number;
}

interface Scan {
  /**
   * The next bytes of the stream; `last`: there are no more. Calls back for each occurrence that they complete, in
   * any order and perhaps more than once; a callback that returns true ends the scan.
   */
  feed(bytes: Uint8Array, last: boolean, found: (occurrence: Occurrence) => boolean): void;
  /** What comes before this offset is in no occurrence that is still to be completed, but see `longestHold`. */
  readonly clearTo: number;
}

interface Scanner {
  start(): Scan;
}

/**
 * Looks for values in all their forms. A stream is read three times over: as it is, with its escapes undone, and with
 * the escapes in that undone too (JSON in JSON, JSON in a form, a form encoded twice). Where a piece has no escapes
 * the readings are the same, and are searched once.
 */
export function createScanner(values: readonly string[]): Scanner {
  const exact: Pattern[] = [];
  const hex: Pattern[] = [];
  values.forEach((value, owner) => {
    for (const forms of piecesOf(value).map(encodedForms)) {
      exact.push(...forms.exact.map((bytes) => ({ bytes, owner })));
      hex.push(...forms.hex.map((bytes) => ({ bytes, owner })));
    }
  });
  const automata = [createAutomaton(exact, formSpace), createAutomaton(hex, lowerCase)];
  const longestHold = longestEscape * Math.max(...automata.map(({ longest }) => longest));

  // Streams take turns: nothing of one is in these when another one is fed.
  let rooms: readonly Reading[] | undefined;
  return {
    start() {
      rooms ??= Array.from({ length: depth + 1 }, () => createReading(pieceSize));
      return startScan(automata, rooms, longestHold);
    },
  };
}

/** How often escapes are undone. */
const depth = 2;
/** Bytes of a stream that are read at a time. */
const pieceSize = 16 * 1024;
/** `\u0041`, in bytes. */
const longestEscape = 6;

/** In forms a space is written as a plus sign. */
const formSpace = (byte: number) => (byte === 43 ? 32 : byte);
const lowerCase = (byte: number) => (byte >= 65 && byte <= 70 ? byte + 32 : byte);

/** One reading of one stream. */
interface View {
  /** Where the reading is written if it differs from the one below. */
  room: Reading;
  searches: readonly { automaton: Automaton; cursor: Cursor }[];
  /** Offsets of the last bytes that count, as many as the longest partial match has. */
  partial: number[];
  /** The beginning of an escape whose rest has not come: what the next reading has not read of this one. */
  unread: { byte: number; origin: number }[];
}

type OnFound = (occurrence: Occurrence) => boolean;

function startScan(automata: readonly Automaton[], rooms: readonly Reading[], longestHold: number): Scan {
  const views: View[] = rooms.map((room) => ({
    room,
    searches: automata.map((automaton) => ({ automaton, cursor: { state: 0, at: 0 } })),
    partial: [],
    unread: [],
  }));
  let seen = 0;
  let clearTo = 0;

  /** True when the scan is to end. */
  function feedPiece(bytes: Uint8Array, last: boolean, found: OnFound): boolean {
    const base = seen;
    seen += bytes.length;
    let below: { view: View; reading: Reading; before: readonly number[] } | undefined;

    for (const view of views) {
      let reading = view.room;
      let same = false;
      if (below === undefined) {
        // A copy, since what the next reading left over has to stand in front of it.
        reading.bytes.set(bytes, headroom);
        reading.end = headroom + bytes.length;
      } else {
        same = !readOn(below.view, below.reading, view.room, base, last);
        if (same) reading = below.reading;
      }
      const before = view.searches.map(({ cursor }) => cursor.state);
      if (same && below?.before.every((state, which) => state === before[which])) {
        // What the reading below has found, this one would find again.
        for (const [which, { cursor }] of view.searches.entries()) {
          cursor.state = below.view.searches[which]?.cursor.state ?? 0;
        }
      } else if (searchReading(view, reading, base, found)) {
        return true;
      }
      const depths = view.searches.map(({ automaton, cursor }) => automaton.depth(cursor.state));
      view.partial = lastOffsets(view, reading, base, reading.end, Math.max(...depths));
      below = { view, reading, before };
    }

    const holds = views.flatMap(({ partial, unread }) => [partial[0] ?? seen, unread[0]?.origin ?? seen]);
    clearTo = last ? seen : Math.max(Math.min(...holds), seen - longestHold);
    return false;
  }

  /** Reads what is left of the reading below and the new piece of it; false when that changes nothing. */
  function readOn(below: View, input: Reading, output: Reading, base: number, last: boolean): boolean {
    const { unread } = below;
    if (unread.length === 0 && !hasEscapes(input)) return false;
    const from = headroom - unread.length;
    unread.forEach(({ byte, origin }, index) => {
      input.bytes[from + index] = byte;
      input.origins[from + index] = origin - base;
    });
    const { readTo, changed } = undoEscapes(input, from, output, last);
    const left = Array.from({ length: input.end - readTo }, (_, index) => ({
      byte: input.bytes[readTo + index] ?? 0,
      origin: base + (input.origins[readTo + index] ?? 0),
    }));
    below.unread = left;
    return changed || unread.length > 0 || left.length > 0;
  }

  function searchReading(view: View, reading: Reading, base: number, found: OnFound): boolean {
    for (const { automaton, cursor } of view.searches) {
      cursor.at = headroom;
      while (automaton.run(cursor, reading.bytes, reading.end)) {
        const { owner, length } = automaton.match(cursor.state);
        const start = lastOffsets(view, reading, base, cursor.at, length)[0] ?? 0;
        const end = base + (reading.origins[cursor.at] ?? 0);
        if (found({ value: owner, start, end })) return true;
      }
    }
    return false;
  }

  return {
    feed(bytes, last, found) {
      for (let from = 0; from === 0 || from < bytes.length; from += pieceSize) {
        const to = Math.min(from + pieceSize, bytes.length);
        if (feedPiece(bytes.subarray(from, to), last && to === bytes.length, found)) return;
      }
    },
    get clearTo() {
      return clearTo;
    },
  };
}

function hasEscapes({ bytes, end }: Reading): boolean {
  const piece = bytes.subarray(headroom, end);
  return piece.includes(37) || piece.includes(92);
}

/** Where the last `count` bytes that count before index `before` begin in the stream. */
function lastOffsets(view: View, reading: Reading, base: number, before: number, count: number): number[] {
  const offsets: number[] = [];
  for (let at = before - 1; at >= headroom && offsets.length < count; at--) {
    if (!ignored(reading.bytes[at] ?? 0)) offsets.push(base + (reading.origins[at] ?? 0));
  }
  const missing = count - offsets.length;
  offsets.reverse();
  return missing === 0 ? offsets : view.partial.slice(-missing).concat(offsets);
}
