/**
 * Resolves after `ms`, or at once when the signal aborts or has aborted; leaves neither timer nor listener behind.
 * setTimeout holds 2^31 - 1 ms at most, some 24 days.
 */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });
}
