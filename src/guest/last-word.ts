import { CcwError, messageOf } from "../domain/errors.ts";
import type { GuestEvent } from "../domain/event.ts";
import { isNoSpace } from "./disk.ts";

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

export function failure(thrown: unknown, report: (line: string) => unknown): Finished {
  const failed = (text: string, hint: string): Finished => ({
    kind: "finished",
    outcome: "failed",
    text,
    hint,
  });
  if (isNoSpace(thrown)) {
    return failed(
      "The sandbox's disk is full.",
      "Clear files in the task's work, or give the machine more disk; then start the task again.",
    );
  }
  if (thrown instanceof CcwError) return failed(thrown.message, thrown.hint);
  // A defect of ours: whole in the container's log, in words in the transcript.
  report(thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown));
  return failed(`The guest failed: ${messageOf(thrown)}`, "Start the task again.");
}
