import { closeSync, fstatSync, openSync, readSync } from "node:fs";

/** Whether the text, which is ASCII and short, stands in the file or in its last bytes; false where there is no file. */
export function fileHolds(path: string, needle: string, lastBytes = Number.POSITIVE_INFINITY): boolean {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch {
    return false;
  }
  try {
    const chunk = Buffer.alloc(1024 ** 2);
    let at = Math.max(0, fstatSync(file).size - lastBytes);
    for (let kept = 0; ; ) {
      const read = readSync(file, chunk, kept, chunk.length - kept, at);
      if (read === 0) return false;
      at += read;
      if (chunk.subarray(0, kept + read).includes(needle)) return true;
      const tail = Math.min(needle.length, kept + read);
      chunk.copyWithin(0, kept + read - tail, kept + read);
      kept = tail;
    }
  } finally {
    closeSync(file);
  }
}
