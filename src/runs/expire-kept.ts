import type { KeptWork, Log } from "../domain/ports.ts";
import type { Store } from "../domain/store.ts";
import { isEnded } from "../domain/task.ts";
import { type Regular, regularly } from "./regularly.ts";

interface ExpiryContext {
  store: Store;
  kept: Pick<KeptWork, "of" | "tasks" | "remove">;
  log: Log;
  now(): number;
}

const everyMs = 60 * 60_000;

/** Removes kept work that nobody had pushed in its time, at once and then every hour. */
export function startKeptExpiry(context: ExpiryContext): Regular {
  const failed = "kept work cannot be looked through; trying again";
  return regularly(() => expireKeptWork(context), { everyMs, failed, log: context.log });
}

/** Each that goes stands in the log and in its task's transcript. */
export async function expireKeptWork({ store, kept, log, now }: ExpiryContext): Promise<void> {
  for (const task of kept.tasks().flatMap((id) => store.tasks.get(id) ?? [])) {
    if (!isEnded(task.state.kind)) continue;
    const waiting = kept.of(task);
    for (const { repository, branch, commit, until } of waiting) {
      if (until === undefined || now() < until || !(await kept.remove(task.id, repository))) continue;
      log.warn("kept work was removed: nobody had it pushed", { task: task.id, repository, branch, commit });
      const text = `The work in ${repository} that its forge did not take at the task's end, ${commit.slice(0, 10)}, was removed: nobody had it pushed in time.`;
      store.events.append(task.id, { kind: "appliance_notice", level: "warning", text });
      store.wakes.wake("tasks");
    }
    // Places that were made for a push of which nothing came.
    for (const { name } of task.repositories)
      if (!waiting.some(({ repository }) => repository === name)) await kept.remove(task.id, name);
  }
}
