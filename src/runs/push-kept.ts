import { CcwError } from "../domain/errors.ts";
import type { TaskId } from "../domain/ids.ts";
import type { KeptWork } from "../domain/ports.ts";
import type { Person } from "../domain/store/people.ts";
import type { TaskRow } from "../domain/store/tasks.ts";
import type { Store } from "../domain/store.ts";
import { isDone, type TaskStateKind } from "../domain/task.ts";
import { existing } from "./submit.ts";

const withinMs = 30 * 60_000;

export interface PushedWork {
  repository: string;
  branch: string;
  commit: string;
}

/**
 * Pushes what a task's forge did not take at its end: another try, as a person asks for it. Nothing is forgotten but
 * what the forge has taken. Rejects with `conflict` where nothing waits.
 */
export async function pushKeptWork(
  { store, kept }: { store: Store; kept: Pick<KeptWork, "push"> },
  taskId: TaskId,
  by: Person,
  wanted: {
    /** Another branch than the task's own. */
    branch?: string | undefined;
  },
): Promise<PushedWork[]> {
  const task = existing(store, taskId);
  if (!isDone(task.state.kind)) {
    throw new CcwError(
      "conflict",
      "The task is not over yet: it pushes its work by itself.",
      "Wait for its end.",
    );
  }
  const pushed: PushedWork[] = [];
  for (const { name: repository, workBranch } of task.repositories) {
    const branch = wanted.branch ?? workBranch;
    const commit = await kept.push(taskId, repository, { workBranch, branch }, AbortSignal.timeout(withinMs));
    if (commit === undefined) continue;
    const own = branch === workBranch;
    store.events.append(taskId, { kind: "kept_pushed", person: by.name, repository, branch, own, commit });
    store.wakes.wake("tasks");
    pushed.push({ repository, branch, commit });
  }
  if (pushed.length > 0) return pushed;
  throw new CcwError(
    "conflict",
    "No work of this task waits to be pushed: its forge has taken all of it.",
    "`ccw-server task show` says where it is.",
  );
}

/** Tasks that are over and have work which their forge does not have, newest first. */
export function tasksWithKeptWork(
  { store, kept }: { store: Store; kept: Pick<KeptWork, "tasks" | "of"> },
  filter: { limit: number; before?: number; states?: readonly TaskStateKind[] },
): TaskRow[] {
  const { limit, before = Number.POSITIVE_INFINITY, states } = filter;
  return kept
    .tasks()
    .flatMap((id) => store.tasks.get(id) ?? [])
    .filter(({ state, createdAt }) => createdAt < before && (states?.includes(state.kind) ?? true))
    .filter((task) => isDone(task.state.kind) && kept.of(task).length > 0)
    .sort((one, other) => other.createdAt - one.createdAt)
    .slice(0, limit);
}
