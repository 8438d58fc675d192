/** Bytes of a stream between what was passed on and what came last. */
export interface HoldBack {
  /** Takes `bytes`, and gives what lies before the offset `clearTo`: views of them and copies of what was held. */
  pass(bytes: Uint8Array, clearTo: number): Uint8Array[];
  /** Overwrites what is held with asterisks, from the offset `start` to `end`; what has been passed on stays. */
  blot(start: number, end: number): void;
}

export function createHoldBack(): HoldBack {
  let held = new Uint8Array(0);
  /** Offset of the first byte that is held. */
  let from = 0;

  return {
    pass(bytes, clearTo) {
      const clear = clearTo - from;
      from += clear;
      if (clear < held.length) {
        const passed = held.subarray(0, clear);
        held = joined(held.subarray(clear), bytes);
        return passed.length === 0 ? [] : [passed];
      }
      const passed = [held, bytes.subarray(0, clear - held.length)].filter(({ length }) => length > 0);
      // A copy, which `slice` of a Buffer is not: whoever gave the bytes may use their memory again.
      held = new Uint8Array(bytes.subarray(clear - held.length));
      return passed;
    },
    blot(start, end) {
      blot(held, from, start, end);
    },
  };
}

/** The same on a piece of the stream that begins at the offset `from`. */
export function blot(piece: Uint8Array, from: number, start: number, end: number): void {
  piece.fill(42, Math.max(0, start - from), Math.max(0, end - from));
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
