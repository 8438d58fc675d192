import { isNoSpace } from "../domain/disk.ts";
import { CcwError, messageOf } from "../domain/errors.ts";
import type { GuestEvent } from "../domain/event.ts";

type Finished = Extract<GuestEvent, { kind: "finished" }>;

/** How a piece of work went, in the words for people. `report`: one line for the container's log. */
export async function lastWord(
  work: () => Promise<string>,
  report: (line: string) => unknown,
): Promise<Finished> {
  try {
    const text = await work();
    return { kind: "finished", outcome: "completed", text, hint: "" };
  } catch (thrown) {
    return failure(thrown, report);
  }
}

/** For whoever can make room; the task is tried again without a word. */
export const roomHint = "Free some space on the disk, or let the agent remove what it does not need.";

export function failure(thrown: unknown, report: (line: string) => unknown): Finished {
  const ended = (outcome: Finished["outcome"], text: string, hint: string): Finished => ({
    ...{ kind: "finished", outcome, text, hint },
  });
  if (isNoSpace(thrown)) return ended("no_space", "The sandbox's disk is full.", roomHint);
  if (thrown instanceof CcwError)
    return ended(thrown.code === "no_space" ? "no_space" : "failed", thrown.message, thrown.hint);
  // A defect of ours: whole in the container's log, in words in the transcript.
  report(thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown));
  return ended("failed", `The guest failed: ${messageOf(thrown)}`, "Start the task again.");
}
