import type { GuestEvent } from "../../domain/event.ts";

/**
 * What was told of an agent's conversation on disk, part by part. A part is known by what it says of itself, and not by
 * the message that it came in or by its place: an answer that Claude Code had to ask for in one piece is one message in its
 * file and several in its stream, under other names.
 */
export interface Heard {
  /** The conversation up to this message or part was told, whatever `parts` holds; empty before its first. */
  upTo: string;
  /** Told since, in the order of telling. */
  parts: string[];
}

export const nothingHeard: Heard = { upTo: "", parts: [] };

/** Many more than are ever said in another order than they stand in the conversation. */
const maxParts = 1000;

/** Undefined for what is no part of the conversation, or is said in the person's name, as prompts are. */
export function partOf(event: GuestEvent): string | undefined {
  switch (event.kind) {
    case "assistant_text":
    case "thinking":
      return `block ${event.blockId}`;
    case "tool_use":
    case "tool_result":
      return `${event.kind} ${event.toolUseId}`;
    default:
      return undefined;
  }
}

/** `heard`, and what the event says as well. */
export function alsoHeard(heard: Heard, event: GuestEvent): Heard {
  const part = partOf(event);
  if (part === undefined) return heard;
  const { upTo, parts } = heard;
  const all = [...parts, part];
  if (all.length <= maxParts) return { upTo, parts: all };
  const kept = all.slice(maxParts / 2);
  // From the middle of what is kept: on both sides of it is room for what stands in another order.
  return { upTo: kept[maxParts / 4] ?? part, parts: kept };
}
