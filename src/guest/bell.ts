/** Wakes everybody who waits, at each ring. */
export function createBell() {
  let resolvers: (() => void)[] = [];
  return {
    ring() {
      const woken = resolvers;
      resolvers = [];
      for (const resolve of woken) resolve();
    },
    wait(signal?: AbortSignal): Promise<void> {
      return new Promise((resolve) => {
        if (signal?.aborted === true) return resolve();
        const done = () => {
          signal?.removeEventListener("abort", done);
          resolve();
        };
        signal?.addEventListener("abort", done);
        resolvers.push(done);
      });
    },
  };
}
