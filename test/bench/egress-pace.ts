/** Slowness in a measured dose: senders and readers of the egress benchmarks that keep to so many MiB a second. */

const tickMs = 10;
const chunk = Buffer.alloc(256 * 1024, "egress-bench ");

interface Sink {
  /** Takes what it can at once and says how much that was; negative where it is closed. */
  write(bytes: Buffer): number;
}

/**
 * Sends `bytes` bytes and calls `done`. The returned function goes on with it, and is to be called to begin and
 * whenever the sink can take more.
 */
export function pump(sink: Sink, bytes: number, pace: number, done = () => {}): () => void {
  const began = performance.now();
  let left = bytes;
  let waiting = false;
  const go = () => {
    while (left > 0 && !waiting) {
      const due = Math.min(left, dueBytes(pace, began) - (bytes - left));
      if (due <= 0) {
        waiting = true;
        setTimeout(() => {
          waiting = false;
          go();
        }, tickMs);
        return;
      }
      const size = Math.min(chunk.length, due);
      const written = sink.write(size === chunk.length ? chunk : chunk.subarray(0, size));
      if (written < 0) return;
      left -= written;
      if (left === 0) return done();
      if (written < size) return;
    }
  };
  return go;
}

/** Told of each arrival, pauses its source whenever that is ahead of the pace. */
export function createAllowance(
  pace: number,
  source: { pause(): unknown; resume(): unknown },
): (bytes: number) => void {
  const began = performance.now();
  let taken = 0;
  let paused = false;
  return (bytes) => {
    taken += bytes;
    if (paused || taken <= dueBytes(pace, began)) return;
    paused = true;
    source.pause();
    const wait = () => {
      if (taken > dueBytes(pace, began)) return void setTimeout(wait, tickMs);
      paused = false;
      source.resume();
    };
    setTimeout(wait, tickMs);
  };
}

function dueBytes(pace: number, began: number): number {
  if (pace === Number.POSITIVE_INFINITY) return pace;
  return Math.floor(((performance.now() - began) / 1000) * pace * 1024 * 1024);
}
