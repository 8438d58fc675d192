import { messageOf } from "../domain/errors.ts";
import type { Log } from "../domain/ports.ts";
import type { Store } from "../domain/store.ts";

/** Keeps the search up with what is appended, behind its back: nobody who appends waits for it. */
export interface SearchIndexer {
  start(): void;
  close(): Promise<void>;
}

/**
 * A portion, then a pause at least twice as long as that took: in a flood of events it takes no more than a third of the
 * time. Where it is, stands beside what it has read, so that a crash neither loses nor doubles anything.
 */
export function createSearchIndexer(
  { store, log }: { store: Pick<Store, "search">; log: Log },
  { pauseMs = 500 }: { pauseMs?: number } = {},
): SearchIndexer {
  const stopped = Promise.withResolvers<void>();
  let running = false;
  let done: Promise<void> = Promise.resolve();
  const pause = (ms: number) => Promise.race([Bun.sleep(ms), stopped.promise]);

  async function work(): Promise<void> {
    while (running) {
      const began = performance.now();
      let more = false;
      try {
        more = store.search.indexPortion();
      } catch (thrown) {
        log.error("what was said cannot be made searchable; trying again", { reason: messageOf(thrown) });
        await pause(10 * pauseMs);
      }
      await pause(more ? 2 * (performance.now() - began) + 1 : pauseMs);
    }
  }

  return {
    start() {
      running = true;
      done = work();
    },
    async close() {
      running = false;
      stopped.resolve();
      await done;
    },
  };
}
