import { piecesOf } from "./encoded-forms.ts";
import { blot, createHoldBack } from "./hold-back.ts";
import { createScanner, type Occurrence } from "./scanner.ts";

/**
 * Blots out values in what comes back: an answer that echoes an injected credential would hand it to the sandbox.
 * Each occurrence, in the forms in which `SecretSearch` finds secrets and with the same limits, is overwritten with
 * `*` byte by byte, so that lengths stay true. Values shorter than 8 characters stay.
 */
export interface Redaction {
  /** One stream: head or body of one answer. */
  start(): RedactionStream;
  /** A text by itself; its length in UTF-8 stays. */
  text(text: string): string;
}

export interface RedactionStream {
  /** What may go on now: views of what came or copies, in order; the end may be held back. */
  push(bytes: Uint8Array): Uint8Array[];
  /** The stream is over: what was held back. */
  end(): Uint8Array[];
}

export function createRedaction(values: readonly string[]): Redaction {
  const usable = values.filter((value) => piecesOf(value).length > 0);
  if (usable.length === 0) return { start: () => passAll, text: (text) => text };
  const scanner = createScanner(usable);

  function start(): RedactionStream {
    const scan = scanner.start();
    const hold = createHoldBack();
    let seen = 0;

    const feed = (bytes: Uint8Array, last: boolean): Uint8Array[] => {
      const occurrences: Occurrence[] = [];
      scan.feed(bytes, last, (occurrence) => {
        occurrences.push(occurrence);
        return false;
      });
      // The chunk is whoever's gave it.
      const clean = occurrences.length === 0 ? bytes : new Uint8Array(bytes);
      for (const { start, end } of occurrences) {
        hold.blot(start, end);
        blot(clean, seen, start, end);
      }
      seen += bytes.length;
      return hold.pass(clean, scan.clearTo);
    };
    return { push: (bytes) => feed(bytes, false), end: () => feed(new Uint8Array(0), true) };
  }

  return {
    start,
    text(text) {
      const stream = start();
      return Buffer.concat([...stream.push(Buffer.from(text)), ...stream.end()]).toString("utf8");
    },
  };
}

const passAll: RedactionStream = { push: (bytes) => [bytes], end: () => [] };
