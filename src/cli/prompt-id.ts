import { CcwError } from "../domain/errors.ts";

export const promptHelp = "its place in the queue, or the id or the end of the id of the prompt";

interface ShownPrompt {
  id: string;
  position?: number | undefined;
}

/** Exactly one prompt of a task: a short number is a place among those that wait, anything else an id or its end. */
export function promptIdOf(prompts: readonly ShownPrompt[], text: string): string {
  const place = /^\d{1,5}$/.test(text) ? Number(text) : undefined;
  const wanted = text.toLowerCase();
  const found =
    place === undefined
      ? prompts.filter(({ id }) => id === wanted || (wanted.length >= 2 && id.endsWith(wanted)))
      : prompts.filter(({ position }) => position === place);
  const [only, another] = found;
  if (only !== undefined && another === undefined) return only.id;
  throw new CcwError(
    "not_found",
    another === undefined
      ? place === undefined
        ? `The task has no prompt ${JSON.stringify(text.slice(0, 60))}.`
        : `No prompt of the task waits at place ${place}.`
      : `${JSON.stringify(text.slice(0, 60))} stands for ${found.length} prompts.`,
    "`ccw-server task prompts TASK` lists them.",
  );
}
