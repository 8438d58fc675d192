/** Work that is done once for many who want it, and never twice at a time for one place. */
export interface Locks<Result> {
  /**
   * What `work` gives, begun no earlier than this call: who comes while one runs waits for the next one, together with
   * all others that wait. The work's signal aborts when everybody has left.
   */
  fresh(place: string, signal: AbortSignal, work: (stop: AbortSignal) => Promise<Result>): Promise<Result>;
  /** In turn with all that is done for the place. */
  exclusively<Other>(place: string, work: () => Promise<Other>): Promise<Other>;
}

interface Flight<Result> {
  result: Promise<Result>;
  waiters: number;
  stop: AbortController;
}

export function createLocks<Result>(): Locks<Result> {
  /** The end of what was asked for last. */
  const tails = new Map<string, Promise<void>>();
  /** What waits for its turn, and can be joined. */
  const next = new Map<string, Flight<Result>>();

  function exclusively<Other>(place: string, work: () => Promise<Other>): Promise<Other> {
    const result = (tails.get(place) ?? Promise.resolve()).then(work);
    const tail = result.then(
      () => {},
      () => {},
    );
    tails.set(place, tail);
    void tail.then(() => {
      if (tails.get(place) === tail) tails.delete(place);
    });
    return result;
  }

  return {
    exclusively,
    async fresh(place, signal, work) {
      signal.throwIfAborted();
      let flight = next.get(place);
      if (flight === undefined) {
        const stop = new AbortController();
        const made: Flight<Result> = {
          stop,
          waiters: 0,
          result: exclusively(place, async () => {
            if (next.get(place) === made) next.delete(place);
            stop.signal.throwIfAborted();
            return work(stop.signal);
          }),
        };
        // Everybody may have left by the time it fails.
        made.result.catch(() => {});
        next.set(place, made);
        flight = made;
      }
      const joined = flight;
      joined.waiters++;
      try {
        return await orAborted(joined.result, signal);
      } finally {
        joined.waiters--;
        if (joined.waiters === 0) {
          if (next.get(place) === joined) next.delete(place);
          joined.stop.abort();
        }
      }
    },
  };
}

function orAborted<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}
