import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { z } from "zod";
import type { GuestEvent } from "../../domain/event.ts";
import { createLineSplitter } from "../lines.ts";
import { createClaudeTranslator } from "./claude-events.ts";

const recordSchema = z.object({
  type: z.enum(["assistant", "user"]),
  uuid: z.string(),
  isSidechain: z.boolean().default(false),
  message: z.unknown(),
});

const maxLineBytes = 32 * 1024 ** 2;
const chunkBytes = 1024 ** 2;
/** What was heard last stands near the end: a long conversation is not read from its beginning at each start. */
const tailBytes = 4 * 1024 ** 2;

/**
 * What a conversation's file holds beyond the message that was heard last: said by a process that died, or that the guest
 * died before, while it was still in the pipe between them. Nothing where that message is not in the file. `heard` null: of
 * a conversation that nobody has listened to yet, everything is known already. `last` is the file's last message.
 */
export function unheardIn(path: string, heard: string | null): { events: GuestEvent[]; last: string } {
  const translate = createClaudeTranslator();
  const events: GuestEvent[] = [];
  let last = "";
  let isNew = heard === "";
  const read = (line: string) => {
    const record = recordSchema.safeParse(parseJson(line));
    if (!record.success || record.data.isSidechain) return;
    const { type, uuid, message } = record.data;
    // All are translated: blocks are told apart by their place in their message.
    const meanings = translate(JSON.stringify({ type, uuid, message, parent_tool_use_id: null }));
    if (isNew)
      events.push(
        ...meanings.flatMap((each) => (each.kind === "event" && isSaid(each.event) ? [each.event] : [])),
      );
    if (uuid === heard) isNew = true;
    last = uuid;
  };
  let file: number;
  try {
    file = openSync(path, "r");
  } catch {
    return { events: [], last: heard ?? "" };
  }
  try {
    const lines = createLineSplitter(maxLineBytes);
    const chunk = Buffer.alloc(chunkBytes);
    let at = heard === "" ? 0 : Math.max(0, fstatSync(file).size - tailBytes);
    for (;;) {
      const size = readSync(file, chunk, 0, chunk.length, at);
      if (size === 0) break;
      at += size;
      for (const line of lines.push(chunk.subarray(0, size))) read(line);
    }
  } finally {
    closeSync(file);
  }
  return isNew || heard === null ? { events, last } : { events: [], last: heard };
}

/** In the person's name the file holds the prompts, too. */
const isSaid = ({ kind }: GuestEvent): boolean =>
  kind === "assistant_text" || kind === "thinking" || kind === "tool_use" || kind === "tool_result";

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
