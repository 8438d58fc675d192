/** Splits bytes into lines with a hard cap: whoever writes them may be hostile, or just very talkative. */
export interface LineSplitter {
  /** The lines that this chunk completes, without their ends. */
  push(chunk: Uint8Array): string[];
  /** What is left when the stream has ended without a newline. */
  rest(): string | undefined;
  /** Lines left out since the last call because they passed the cap. */
  takeDropped(): number;
}

/** A line over `maxBytes` is dropped as it comes in, so that at most one line's worth is ever held. */
export function createLineSplitter(maxBytes: number): LineSplitter {
  let parts: Uint8Array[] = [];
  let held = 0;
  let overlong = false;
  let dropped = 0;

  const add = (part: Uint8Array) => {
    if (overlong || part.length === 0) return;
    if (held + part.length > maxBytes) {
      overlong = true;
      parts = [];
      held = 0;
      return;
    }
    // A copy, which `slice` of a Buffer is not: the reader of the stream may use its buffer again.
    parts.push(new Uint8Array(part));
    held += part.length;
  };

  const finish = (): string | undefined => {
    const line = overlong ? undefined : Buffer.concat(parts).toString("utf8");
    if (overlong) dropped++;
    parts = [];
    held = 0;
    overlong = false;
    return line;
  };

  return {
    push(chunk) {
      const lines: string[] = [];
      let from = 0;
      for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, from)) {
        add(chunk.subarray(from, at));
        const line = finish();
        if (line !== undefined) lines.push(line);
        from = at + 1;
      }
      add(chunk.subarray(from));
      return lines;
    },
    rest() {
      return held === 0 && !overlong ? undefined : finish();
    },
    takeDropped() {
      const count = dropped;
      dropped = 0;
      return count;
    },
  };
}
