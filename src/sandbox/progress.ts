import type { Readable } from "node:stream";
import { z } from "zod";

/**
 * The engine's answer to build, pull, import and load: JSON objects, one a line. Text goes to `onLine` as whole,
 * printable, bounded lines. Resolves with the last lines; rejects with the engine's own words when it reports an error.
 */
export async function followEngine(answer: Readable, onLine: (line: string) => void): Promise<string[]> {
  const last: string[] = [];
  const say = (text: string): void => {
    for (const line of text.split(/[\r\n]+/)) {
      const clean = printable(line);
      if (clean === "") continue;
      last.push(clean);
      if (last.length > 30) last.shift();
      onLine(clean);
    }
  };
  for await (const line of linesOf(answer)) {
    if (line.trim() === "") continue;
    const message = messageSchema.safeParse(jsonOf(line));
    if (!message.success) {
      say(line);
      continue;
    }
    const { error, stream, status, id, progressDetail } = message.data;
    if (error !== undefined) throw new EngineFailure(printable(error), last);
    if (stream !== undefined) say(stream);
    // Each layer counts its bytes many times a second; the change of state is enough.
    else if (status !== undefined && progressDetail?.total === undefined)
      say(id === undefined ? status : `${id}: ${status}`);
  }
  return last;
}

/** The engine's words, and what it printed right before. */
export class EngineFailure extends Error {
  readonly lastLines: readonly string[];
  constructor(message: string, lastLines: readonly string[]) {
    super(message);
    this.name = "EngineFailure";
    this.lastLines = lastLines;
  }
}

/** Lines of a byte stream; one that grows beyond 64 KiB is cut there. */
export async function* linesOf(stream: AsyncIterable<Uint8Array | string>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    rest += typeof chunk === "string" ? chunk : decoder.decode(chunk, { stream: true });
    const lines = rest.split("\n");
    rest = (lines.pop() ?? "").slice(0, 64 * 1024);
    yield* lines;
  }
  if (rest !== "") yield rest;
}

const messageSchema = z.object({
  error: z.string().optional(),
  stream: z.string().optional(),
  status: z.string().optional(),
  id: z.string().optional(),
  progressDetail: z.object({ total: z.number().optional() }).optional(),
});

function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function printable(line: string): string {
  return line
    .replace(/\p{Cc}+/gu, " ")
    .trim()
    .slice(0, 500);
}
