import type { ChaosOptions } from "./chaos.ts";
import type { StoredEvent } from "./evidence.ts";
import type { Fault } from "./faults.ts";
import { type Broken, storyOf } from "./oracle.ts";

const mostBroken = 20;
const mostTasks = 2;

/** What went wrong, for somebody who has nothing but these words: most of all how to see it again. */
export function tellStory({
  options,
  broken,
  faults,
  events,
  printed,
}: {
  options: ChaosOptions;
  broken: readonly Broken[];
  faults: readonly Fault[];
  events: StoredEvent[];
  printed: string;
}): string {
  const shown = broken.slice(0, mostBroken);
  const told = [...new Set(shown.flatMap(({ taskId }) => taskId ?? []))].slice(0, mostTasks);
  const lines = printed.split("\n");
  return [
    ...told.flatMap((taskId) => [
      `--- the task ${taskId}`,
      storyOf({ events }, taskId),
      ...faults.filter((fault) => fault.taskId === undefined || fault.taskId === taskId).map(faultLine),
      ...lines.filter((line) => line.includes(taskId)).slice(-15),
    ]),
    ...(told.length === 0
      ? ["--- the server", ...lines.slice(-30), ...faults.slice(-20).map(faultLine)]
      : []),
    ...lines.filter((line) => /"a run broke off".*"count":[1-9]/.test(line)).slice(-10),
    `--- ${broken.length} broken promises`,
    ...shown.map(({ promise, what, taskId }) => `BROKEN  ${promise}: ${what} (${taskId ?? "no task"})`),
    `again: ${commandOf(options)}`,
  ].join("\n");
}

function faultLine({ at, kind, taskId, failed }: Fault): string {
  const words = [taskId, failed && `not whole: ${failed}`].filter(Boolean).join(" ");
  return `  fault ${new Date(at).toISOString().slice(11, 23)} ${kind} ${words}`.trimEnd();
}

function commandOf({ engine, seed, tasks, parallel, everyMs, only }: ChaosOptions): string {
  const some = only === undefined ? "" : ` --only "${only.join(",")}"`;
  return `bun run chaos --engine ${engine.name} --seed ${seed} --tasks ${tasks} --parallel ${parallel} --every ${everyMs}${some}`;
}
