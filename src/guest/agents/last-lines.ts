import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { createLineSplitter } from "../lines.ts";

const maxLineBytes = 32 * 1024 ** 2;
const chunkBytes = 1024 ** 2;

/** The lines that end in a file's last bytes, of which the first may be a part of one; none where there is no file. */
export function* lastLines(path: string, lastBytes = Number.POSITIVE_INFINITY): Generator<string> {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch {
    return;
  }
  try {
    const lines = createLineSplitter(maxLineBytes);
    const chunk = Buffer.alloc(chunkBytes);
    for (let at = Math.max(0, fstatSync(file).size - lastBytes); ; ) {
      const size = readSync(file, chunk, 0, chunk.length, at);
      if (size === 0) return;
      at += size;
      yield* lines.push(chunk.subarray(0, size));
    }
  } finally {
    closeSync(file);
  }
}
