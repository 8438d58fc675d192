/**
 * What was told of an agent's conversation on disk. A part is a message's name and a number within it, since not all that
 * a message says need be told when the guest dies.
 */
export interface Heard {
  /** The conversation up to this message was told, whatever `parts` holds; empty before its first. */
  upTo: string;
  /** Told since, in the order of telling. */
  parts: string[];
}

/** Many more than are ever said in another order than they stand in the conversation. */
const maxParts = 1000;

export const partOf = (message: string, index: number): string => `${message}:${index}`;

/** `heard`, and that part as well. */
export function alsoHeard(heard: Heard | null, part: string): Heard {
  const { upTo, parts } = heard ?? { upTo: "", parts: [] };
  const all = [...parts, part];
  if (all.length <= maxParts) return { upTo, parts: all };
  const kept = all.slice(maxParts / 2);
  // From the middle of what is kept: on both sides of it is room for what stands in another order.
  const middle = kept[maxParts / 4] ?? part;
  return { upTo: middle.slice(0, middle.lastIndexOf(":")), parts: kept };
}
