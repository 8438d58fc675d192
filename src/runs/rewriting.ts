import type { RewriteOnce } from "../domain/ports.ts";
import type { TaskRow } from "../domain/store/tasks.ts";
import type { Store } from "../domain/store.ts";

/**
 * After a roll back a task's branch may hold what was taken back, so that its next push rewrites it. That is good for
 * one thing: it ends with the first push that the repository's server has taken. What stood on the branch is written
 * down before the first one goes on; a server that dies before it knows how that ended leaves a right to go over this
 * commit alone, which is there still where the push was not taken, and nothing else can be overwritten.
 */
export type Rewriting = { kind: "none" } | { kind: "once" } | { kind: "once over"; commit: string };

export function rewritingOf(store: Store, taskId: TaskRow["id"], repository: string): Rewriting {
  const events = store.events.ofKinds(taskId, ["rolled_back", "rolled_back_push"]).map(({ body }) => body);
  const since = events.findLastIndex(({ kind }) => kind === "rolled_back");
  if (since === -1) return { kind: "none" };
  const pushes = events
    .slice(since)
    .flatMap((body) => (body.kind === "rolled_back_push" && body.repository === repository ? [body] : []));
  const [first] = pushes;
  if (first === undefined) return { kind: "once" };
  return pushes.some(({ taken }) => taken) ? { kind: "none" } : { kind: "once over", commit: first.over };
}

/** `underWay`: the branches, by task and repository, whose one push goes on just now. */
export function rewriteOnce(
  store: Store,
  task: TaskRow,
  { name: repository, workBranch: branch }: { name: string; workBranch: string },
  underWay: Set<string>,
): RewriteOnce | undefined {
  if (rewritingOf(store, task.id, repository).kind === "none") return undefined;
  const key = `${task.id} ${repository}`;
  return {
    begin({ oldId: over, newId: commit }) {
      if (underWay.has(key)) return undefined;
      const push = { kind: "rolled_back_push", repository, branch, over, commit } as const;
      const may = rewritingOf(store, task.id, repository);
      if (may.kind === "none" || (may.kind === "once over" && may.commit !== over)) return undefined;
      if (may.kind === "once") store.events.append(task.id, { ...push, taken: false });
      underWay.add(key);
      return (taken) => {
        underWay.delete(key);
        if (taken) store.events.append(task.id, { ...push, taken });
      };
    },
  };
}
