import type { GuestEvent } from "../../domain/event.ts";

/** Joins the small pieces of a streamed answer, so that an event is worth its row: 100 ms or 4 KiB of text each. */
export interface Deltas {
  /** The event that the piece makes due, if any. */
  add(blockId: string, text: string): GuestEvent[];
  /** What waits, before anything else is said. A whole block that replaces it makes it needless. */
  flush(next?: GuestEvent): GuestEvent[];
  close(): void;
}

const maxChars = 4096;
const maxMs = 100;

export function createDeltas(late: (events: GuestEvent[]) => void): Deltas {
  let held: { blockId: string; text: string } | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const flush = (next?: GuestEvent): GuestEvent[] => {
    clearTimeout(timer);
    timer = undefined;
    const out = held;
    held = null;
    if (out === null || (next?.kind === "assistant_text" && next.blockId === out.blockId)) return [];
    return [{ kind: "assistant_delta", blockId: out.blockId, text: out.text }];
  };

  return {
    add(blockId, text) {
      const before = held !== null && held.blockId !== blockId ? flush() : [];
      held = { blockId, text: (held?.text ?? "") + text };
      if (held.text.length >= maxChars) return [...before, ...flush()];
      timer ??= setTimeout(() => late(flush()), maxMs);
      return before;
    },
    flush,
    close() {
      clearTimeout(timer);
    },
  };
}
