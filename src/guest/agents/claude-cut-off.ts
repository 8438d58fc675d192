import type { GuestEvent } from "../../domain/event.ts";

/**
 * What Claude Code 2.1 says in place of the rest of an answer whose connection ended, or said nothing more, behind its first
 * whole block. Before that it asks again by itself; here its turn is over.
 */
const cutOff = /\bAPI Error: (Connection closed|Response stalled) (mid-|while thinking)/;

/** Of the words that a failed turn ends with; an adapter puts some of its own before them. */
export function isCutOff(words: string): boolean {
  return cutOff.test(words);
}

/** So often in one turn it is told to go on: behind an endpoint that never ends an answer it would for ever. */
export const maxCuts = 10;

export const toldToGoOn: GuestEvent = {
  ...{ kind: "notice", level: "warning" },
  text: "The model's answer broke off. The agent was told to go on from there.",
};
