import { messageOf } from "../domain/errors.ts";
import type { Log } from "../domain/ports.ts";

/** Something that is looked at again and again; `close` waits for the look that is under way. */
export interface Regular {
  close(): Promise<void>;
}

export interface RegularOptions {
  everyMs: number;
  /** What the log says of a look that failed; the next one comes all the same. */
  failed: string;
  log: Log;
}

/** Looks at once and then every so often, one look after another. A look ends early where its signal says so. */
export function regularly(
  look: (signal: AbortSignal) => Promise<void>,
  { everyMs, failed, log }: RegularOptions,
): Regular {
  const closing = new AbortController();
  const next = async () => {
    try {
      if (!closing.signal.aborted) await look(closing.signal);
    } catch (thrown) {
      if (!closing.signal.aborted) log.error(failed, { reason: messageOf(thrown) });
    }
  };
  let looking = next();
  const timer = setInterval(() => {
    looking = looking.then(next);
  }, everyMs);
  return {
    async close() {
      clearInterval(timer);
      closing.abort();
      await looking;
    },
  };
}
