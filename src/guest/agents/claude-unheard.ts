import { z } from "zod";
import type { GuestEvent } from "../../domain/event.ts";
import { parseJson } from "../../domain/json.ts";
import { createClaudeTranslator } from "./claude-events.ts";
import { type Heard, partOf } from "./heard.ts";
import { lastLines } from "./last-lines.ts";

const recordSchema = z.object({
  type: z.enum(["assistant", "user"]),
  uuid: z.string(),
  isSidechain: z.boolean().default(false),
  message: z.unknown(),
});

/** What was heard stands near the end, as a rule: a long conversation is not read from its beginning at each start. */
const tailBytes = 4 * 1024 ** 2;

/**
 * What a conversation's file holds and nobody was told: said by a process that died, or that the guest died before, while
 * it was still in the pipe between them. It is compared part by part: the file need not have the order in which things
 * were said, nor all of it, since the CLI writes some 100 ms later than it speaks. `heard` null: of a conversation that
 * nobody has listened to yet, everything is known already. `upTo` is the file's last message.
 */
export function unheardIn(path: string, heard: Heard | null): { said: GuestEvent[]; upTo: string } {
  const found = heard?.upTo === "" ? undefined : readLast(path, tailBytes, heard);
  const { said, last } = found?.isWhole === true ? found : readLast(path, undefined, heard);
  return { said: heard === null ? [] : said, upTo: last ?? heard?.upTo ?? "" };
}

/** `isWhole`: more of the file would not say more. */
function readLast(path: string, lastBytes: number | undefined, heard: Heard | null) {
  const translate = createClaudeTranslator();
  const told = new Set(heard?.parts);
  let said: GuestEvent[] = [];
  let last: string | undefined;
  // Where what it knew up to never came into the file, what was told since stands for it.
  let isSince = heard?.upTo === "";
  let isWhole = false;
  const known = (name: string) => {
    if (name !== heard?.upTo) return;
    said = [];
    isSince = true;
    isWhole = true;
  };
  const read = (line: string) => {
    const record = recordSchema.safeParse(parseJson(line));
    if (!record.success || record.data.isSidechain) return;
    const { type, uuid, message } = record.data;
    last = uuid;
    // All are translated: blocks are told apart by their place in their message.
    for (const meaning of translate(JSON.stringify({ type, uuid, message, parent_tool_use_id: null }))) {
      const part = meaning.kind === "event" ? partOf(meaning.event) : undefined;
      if (meaning.kind !== "event" || part === undefined) continue;
      if (told.has(part)) isSince = true;
      else if (isSince) said.push(meaning.event);
      known(part);
    }
    known(uuid);
  };
  for (const line of lastLines(path, lastBytes)) read(line);
  return { said, last, isWhole: heard === null ? last !== undefined : isWhole };
}
