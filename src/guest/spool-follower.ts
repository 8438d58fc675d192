import { z } from "zod";
import type { GuestEvent } from "../domain/event.ts";
import { parseJson } from "../domain/json.ts";
import { sessionEventSchema } from "../domain/session.ts";
import { mendSegment, type Segment } from "./spool-segment.ts";

const spoolLineSchema = sessionEventSchema.extend({
  /** The command that it ends. */
  command: z.number().optional(),
});
export type SpoolLine = z.infer<typeof spoolLineSchema>;
export type SpoolNotes = Pick<SpoolLine, "command">;

/** Keeps what follows from the events. A line that was written is never without what follows from it, and the reverse. */
export interface SpoolFollower {
  /** The last line that it had taken when the spool was opened; null where it cannot tell: it has `skip` called. */
  taken: number | null;
  /** The lines up to this one are not told again. */
  skip(last: number): void;
  /** Takes each line as soon as it is there; when the spool is opened, those after `taken`. */
  take(line: SpoolLine): void;
  /** Before lines are deleted: the last one that it needs no more, whoever dies. */
  save(): number;
}

export const noFollower: SpoolFollower = {
  taken: null,
  skip() {},
  take() {},
  save: () => Number.POSITIVE_INFINITY,
};

/**
 * Tells the follower what it had not taken yet. A line that nobody can read would be refused for ever: it is replaced by
 * a word about it.
 */
export function replay(segments: readonly Segment[], acked: number, follower: SpoolFollower): void {
  const after = Math.min(acked, follower.taken ?? acked);
  for (const [index, segment] of segments.entries()) {
    if ((segments[index + 1]?.first ?? Number.POSITIVE_INFINITY) <= after + 1) continue;
    mendSegment(segment, (text, n) => {
      if (n <= after) return text;
      const line = spoolLineSchema.safeParse(parseJson(text));
      if (!line.success || line.data.n !== n) return JSON.stringify({ n, event: unreadable });
      if (follower.taken !== null && n > follower.taken) follower.take(line.data);
      return text;
    });
  }
}

const unreadable: GuestEvent = {
  kind: "notice",
  level: "warning",
  text: "An event was kept in the sandbox and cannot be read any more.",
};
