import type { ModelApi } from "../../domain/model.ts";
import { createMessagesReader } from "./messages-usage.ts";
import { createResponsesReader } from "./responses-usage.ts";
import type { Usage, UsageReader } from "./usage-reader.ts";

/**
 * Reads the usage out of an answer of a model's API as its bytes go by. It changes and holds nothing of the
 * answer but the line it is in, up to a bound; a longer line is skipped.
 */
export interface UsageMeter {
  write(chunk: Uint8Array): void;
  /**
   * What was counted so far. Of a stream that was cut before it had said its sum, the output is reckoned from the text
   * that went by: whoever hangs up early has used it all the same.
   */
  usage(): Usage;
  /** Whether the stream stands between two events, so that another one may be put in. */
  betweenEvents(): boolean;
}

/**
 * Of the Messages API the two events that carry usage are under 4 KiB, and a whole message in plain JSON, which counts as
 * one line, under 600. The Responses API says its sum together with the whole answer.
 */
const longestLine: Record<ModelApi, number> = { messages: 1024 ** 2, responses: 8 * 1024 ** 2 };

const readers: Record<ModelApi, () => UsageReader> = {
  messages: createMessagesReader,
  responses: createResponsesReader,
};

const newline = 0x0a;

export function createUsageMeter(contentType: string, api: ModelApi): UsageMeter {
  const isStream = /^text\/event-stream\b/i.test(contentType);
  const reader = readers[api]();
  const longest = longestLine[api];
  let parts: Uint8Array[] = [];
  let length = 0;
  /** Newlines at the end of what went by; an event ends with an empty line. */
  let newlinesAtEnd = 2;

  function add(bytes: Uint8Array): void {
    length += bytes.length;
    if (length > longest) parts = [];
    // A copy: the chunk's memory may be used again by whoever gave it.
    else if (bytes.length > 0) parts.push(Uint8Array.from(bytes));
  }

  function takeLine(): string {
    const line = length > longest ? "" : Buffer.concat(parts, length).toString("utf8");
    parts = [];
    length = 0;
    return line;
  }

  function readLine(line: string): void {
    if (line.startsWith("data:")) reader.event(line.slice("data:".length));
  }

  return {
    write(chunk) {
      if (!isStream) return add(chunk);
      let start = 0;
      for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
        add(chunk.subarray(start, end));
        newlinesAtEnd = length === 0 || (length === 1 && parts[0]?.[0] === 0x0d) ? 2 : 1;
        readLine(takeLine());
        start = end + 1;
      }
      if (start < chunk.length) newlinesAtEnd = 0;
      add(chunk.subarray(start));
    },
    usage() {
      if (!isStream && length > 0) reader.whole(takeLine());
      return reader.usage();
    },
    betweenEvents: () => isStream && newlinesAtEnd >= 2,
  };
}
