import { z } from "zod";
import { CcwError, messageOf } from "../domain/errors.ts";
import { orAborted } from "../domain/or-aborted.ts";
import { pause } from "../domain/pause.ts";
import {
  type SessionCommand,
  type SessionStart,
  sessionCommandSchema,
  sessionStartSchema,
} from "../domain/session.ts";
import { createLineSplitter } from "./lines.ts";
import type { Spool } from "./spool.ts";

/**
 * The guest's side of the words in `domain/session.ts`. The server may be away at any moment and for any time:
 * every call here tries again until it works or its signal ends, and nothing else in the guest waits for it.
 */
export interface SessionClient {
  /** Rejects only when the signal ends, or when the answer is not a session's start at all. */
  start(signal: AbortSignal): Promise<SessionStart>;
  /** Sends what the spool holds, in order, until the signal ends. */
  sendEvents(spool: Spool, signal: AbortSignal): Promise<void>;
  /** Hands over each command once, in order, and waits for `handle` before the next; ends with the signal. */
  followCommands(
    after: number,
    handle: (command: SessionCommand) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void>;
  /** The bytes of an attachment. Tries for a minute; throws `not_found` where the appliance has it not. */
  attachment(id: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array>>;
}

export interface SessionClientOptions {
  socketPath: string;
  /** One line for the container's log: the only witness while the server is away. */
  report: (line: string) => void;
  /** Of a stream of commands; default three heartbeats. */
  quietMs?: number;
}

const ackSchema = z.object({ acked: z.number().int().nonnegative() });

/** A command carries a prompt of at most 1 MiB, which JSON may make six times as long. */
const maxCommandBytes = 8 * 1024 ** 2;
const attachmentMs = 60_000;
/** How long one exchange may take before it is tried again. */
const exchangeMs = 30_000;
/** Three of the door's heartbeats: a stream of commands that is quiet for so long is dead, and asked for anew. */
const quietMs = 45_000;
/**
 * From one batch of events to the next. The first event after a quiet time leaves at once; a stream of them is not
 * worth a request and a commit each.
 */
const betweenBatchesMs = 10;

export function createSessionClient(options: SessionClientOptions): SessionClient {
  const request = async (path: string, signal: AbortSignal, init: RequestInit = {}): Promise<Response> => {
    const ours: BunFetchRequestInit & { timeout: false } = {
      ...init,
      unix: options.socketPath,
      signal,
      // The runtime gives up on a quiet answer after some minutes unless told otherwise.
      timeout: false,
    };
    const response = await orAborted(fetch(`http://door${path}`, ours), signal);
    if (!response.ok) {
      const words = (await response.text()).slice(0, 500);
      throw new RefusedError(response.status, `the door answered ${response.status} to ${path}: ${words}`);
    }
    return response;
  };
  /** One request and its whole answer, in limited time. */
  const exchange = async (path: string, signal: AbortSignal, init?: RequestInit): Promise<unknown> => {
    const limit = new AbortController();
    const abort = () => limit.abort(new Error(`the door did not answer within ${exchangeMs / 1000} s`));
    const timer = setTimeout(abort, exchangeMs);
    signal.addEventListener("abort", abort);
    try {
      const response = await request(path, limit.signal, init);
      return await orAborted(response.json(), limit.signal);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
    }
  };

  const fetchStart = async (signal: AbortSignal): Promise<SessionStart> =>
    sessionStartSchema.parse(await exchange("/session/start", signal));

  return {
    async start(signal) {
      const backoff = createBackoff(options.report, "no session yet");
      for (;;) {
        try {
          return await fetchStart(signal);
        } catch (thrown) {
          if (signal.aborted || thrown instanceof z.ZodError) throw thrown;
          await backoff.wait(thrown, signal);
        }
      }
    },

    async sendEvents(spool, signal) {
      const backoff = createBackoff(options.report, "events wait in the spool");
      while (!signal.aborted) {
        await spool.waiting(signal);
        if (signal.aborted) return;
        const nextBatch = pause(betweenBatchesMs, signal);
        try {
          const { body } = spool.batch();
          const answer = await exchange("/session/events", signal, {
            method: "POST",
            headers: { "content-type": "application/x-ndjson" },
            body,
          });
          spool.acknowledge(ackSchema.parse(answer).acked);
          backoff.reset();
          await nextBatch;
        } catch (thrown) {
          if (signal.aborted) return;
          await backoff.wait(thrown, signal);
          // A gap, as the appliance sees it: ask what it holds.
          if (thrown instanceof RefusedError && thrown.status === 409) {
            await fetchStart(signal).then(
              (start) => spool.acknowledge(start.acked),
              (again) => options.report(messageOf(again)),
            );
          }
        }
      }
    },

    async followCommands(after, handle, signal) {
      const backoff = createBackoff(options.report, "no commands");
      let last = after;
      while (!signal.aborted) {
        const stream = new AbortController();
        const abort = () => stream.abort(new Error("the command stream has gone quiet"));
        const timer = setTimeout(abort, options.quietMs ?? quietMs);
        signal.addEventListener("abort", abort);
        try {
          const response = await request(`/session/commands?after=${last}`, stream.signal);
          const lines = createLineSplitter(maxCommandBytes);
          const reader = (response.body ?? new Blob([]).stream()).getReader();
          for (;;) {
            const { done, value: chunk } = await orAborted(reader.read(), stream.signal);
            if (done) break;
            timer.refresh();
            backoff.reset();
            for (const line of lines.push(chunk)) {
              if (line.trim() === "") continue;
              const command = sessionCommandSchema.parse(JSON.parse(line));
              if (command.n <= last) continue;
              if (command.n !== last + 1)
                throw new Error(`command ${command.n} came after ${last}: one is missing`);
              await handle(command);
              last = command.n;
            }
          }
          await backoff.wait(new Error("the command stream ended"), signal);
        } catch (thrown) {
          if (signal.aborted) return;
          await backoff.wait(thrown, signal);
        } finally {
          clearTimeout(timer);
          signal.removeEventListener("abort", abort);
          stream.abort();
        }
      }
    },

    async attachment(id, signal) {
      const backoff = createBackoff(options.report, "no attachment");
      const limit = AbortSignal.any([signal, AbortSignal.timeout(attachmentMs)]);
      for (;;) {
        try {
          const { body } = await request(`/session/attachments/${encodeURIComponent(id)}`, limit);
          return body ?? new Blob([]).stream();
        } catch (thrown) {
          if (thrown instanceof RefusedError && thrown.status < 500)
            throw new CcwError("not_found", "The appliance does not have it.");
          if (limit.aborted) throw thrown;
          await backoff.wait(thrown, limit);
        }
      }
    },
  };
}

class RefusedError extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** 50 ms, doubled up to 1 s; says once what is wrong, and again once a minute. */
function createBackoff(report: (line: string) => void, what: string) {
  let delay = 50;
  let reported = 0;
  return {
    reset() {
      delay = 50;
    },
    async wait(thrown: unknown, signal: AbortSignal): Promise<void> {
      const now = performance.now();
      if (delay >= 400 && (reported === 0 || now - reported > 60_000)) {
        reported = now;
        report(`${what}: ${messageOf(thrown)}`);
      }
      await pause(delay, signal);
      delay = Math.min(delay * 2, 1000);
    },
  };
}
