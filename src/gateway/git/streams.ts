import type { IncomingMessage, ServerResponse } from "node:http";
import type { GitAnswer } from "../../domain/git-server.ts";

/** A request's body, read in two parts: what decides over it, then the rest. */
export interface Body {
  /** Undefined at the end, and once `patience` is at its end. */
  next(patience: AbortSignal): Promise<Uint8Array | undefined>;
  /** All that was not read yet. Leaving it early leaves the connection alone, so that an answer still goes out. */
  rest(): AsyncIterable<Uint8Array>;
}

export function bodyOf(request: IncomingMessage): Body {
  const chunks: AsyncIterator<Uint8Array> = request[Symbol.asyncIterator]();
  return {
    async next(patience) {
      if (patience.aborted) return undefined;
      const waited = Promise.withResolvers<undefined>();
      const giveUp = () => waited.resolve(undefined);
      patience.addEventListener("abort", giveUp);
      try {
        const result = await Promise.race([chunks.next(), waited.promise]);
        return result === undefined || result.done === true ? undefined : result.value;
      } finally {
        patience.removeEventListener("abort", giveUp);
      }
    },
    rest: () => ({ [Symbol.asyncIterator]: () => ({ next: () => chunks.next() }) }),
  };
}

/** A refused pack is read on to this length, so that the client comes to read the refusal. */
const maxDrainBytes = 256 * 1024 * 1024;

/** Reads and drops what is left of the body; says whether that was all of it. */
export async function drain(body: Body, patienceMs: number): Promise<boolean> {
  const patience = AbortSignal.timeout(patienceMs);
  let dropped = 0;
  while (dropped <= maxDrainBytes) {
    const chunk = await body.next(patience);
    if (chunk === undefined) return !patience.aborted;
    dropped += chunk.length;
  }
  return false;
}

/** Sends the answer as fast as the client takes it; `watch` sees each piece on its way. */
export async function pour(
  answer: GitAnswer,
  response: ServerResponse,
  signal: AbortSignal,
  watch?: (chunk: Uint8Array) => void,
): Promise<void> {
  // A refusal may leave a body unread; the connection cannot be used again then.
  const close = answer.status === 200 ? {} : { connection: "close" };
  for (const [name, value] of answer.fields ?? []) response.appendHeader(name, value);
  response.writeHead(answer.status, { ...answer.headers, ...close });
  // One listener for the whole answer: one for each wait is a tenth of what a large answer costs.
  let goOn = () => {};
  const wake = () => goOn();
  response.on("drain", wake);
  signal.addEventListener("abort", wake);
  for await (const chunk of answer.body) {
    watch?.(chunk);
    if (response.write(chunk)) continue;
    await new Promise<void>((resolve) => {
      goOn = resolve;
      if (signal.aborted) resolve();
    });
    signal.throwIfAborted();
  }
  response.end();
}
