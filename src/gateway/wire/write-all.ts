import type { Wire } from "./wire.ts";

/** From here on a copy costs more than a call to the kernel. */
const large = 16 * 1024;

/** Writes the pieces in order with few calls: small neighbours are joined. False: write no more before `drain`. */
export function writeAll(wire: Wire, pieces: readonly Uint8Array[]): boolean {
  let free = true;
  let from = 0;
  const flush = (to: number) => {
    const [only] = pieces.slice(from, from + 1);
    if (only === undefined || to === from) return;
    free = wire.write(to - from === 1 ? only : Buffer.concat(pieces.slice(from, to))) && free;
  };
  pieces.forEach((piece, at) => {
    if (piece.length < large) return;
    flush(at);
    from = at;
    flush(at + 1);
    from = at + 1;
  });
  flush(pieces.length);
  return free;
}
