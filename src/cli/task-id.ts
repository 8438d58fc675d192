import type { Client, TaskJson } from "../client.ts";
import { CcwError } from "../domain/errors.ts";
import { isId } from "../domain/ids.ts";
import { plainLine } from "../domain/plain-text.ts";

/** How an id is shown: its end, which no two tasks of a list share in practice, and which branch names carry too. */
export function shortId(id: string): string {
  return id.slice(-6);
}

/**
 * The task meant by an id, the beginning or the end of one among the newest 500, archived ones too, or `last`. `deleted`:
 * among those that can be restored.
 */
export async function findTaskId(client: Client, text: string, { deleted = false } = {}): Promise<string> {
  if (isId("TaskId", text)) return text;
  const show = deleted ? "deleted" : text === "last" ? "current" : "all";
  const tasks = await client.read(client.api.tasks.$get({ query: { limit: "500", show } }));
  if (deleted && tasks.length === 0) {
    throw new CcwError(
      "not_found",
      "There are no deleted tasks that could be restored.",
      "What is over its grace time is gone; `ccw-server task list --all` shows what is there.",
    );
  }
  if (text === "last") {
    const newest = tasks[0];
    if (newest === undefined) {
      throw new CcwError("not_found", "There are no tasks yet.", "`ccw-server task create` makes one.");
    }
    return newest.id;
  }
  return pick(tasks, text, deleted ? "those that were deleted" : undefined);
}

/** Exactly one, or a CcwError. */
export function pick(tasks: readonly TaskJson[], text: string, among = `the newest ${tasks.length}`): string {
  const wanted = text.toLowerCase();
  const found =
    wanted.length < 2
      ? []
      : tasks.filter(
          ({ id }) => id.startsWith(wanted) || id.startsWith(`tsk_${wanted}`) || id.endsWith(wanted),
        );
  const [only, another] = found;
  if (only === undefined) {
    throw new CcwError(
      "not_found",
      `There is no task ${JSON.stringify(text.slice(0, 60))} among ${among}.`,
      "`ccw-server task list` shows the tasks; an id, its end, or `last` names one.",
    );
  }
  if (another !== undefined) {
    const some = found.slice(0, 5).map(({ id, title }) => `${id} (${plainLine(title).slice(0, 40)})`);
    throw new CcwError(
      "invalid",
      `${JSON.stringify(text.slice(0, 60))} stands for ${found.length} tasks.`,
      `Give more of the id: ${some.join(", ")}.`,
    );
  }
  return only.id;
}
