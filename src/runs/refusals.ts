import { messageOf } from "../domain/errors.ts";
import type { SandboxId, TaskId } from "../domain/ids.ts";
import type { Log } from "../domain/ports.ts";
import type { Store } from "../domain/store.ts";

/** A sandbox can ask for new targets without end; beyond this many its transcript shows no more of them. */
const maxShown = 200;

/**
 * Logs each refusal and shows each target once in the transcript. Never throws: the sandbox is refused, and told why,
 * though the database cannot be written; the log then says what the transcript lacks.
 */
export function createRefusalRecord(store: Store, log: Log) {
  // By the door's own record of its sandbox, so that what is known of a sandbox goes with its door.
  const shown = new WeakMap<object, Set<string>>();
  return (sandbox: { id: SandboxId; taskId: TaskId }, target: string, reason: string): void => {
    const { id, taskId } = sandbox;
    const cut = target.slice(0, 500);
    log.info("egress refused", { sandbox: id, task: taskId, target: cut, reason });
    const targets = shown.get(sandbox) ?? new Set<string>();
    if (targets.has(cut) || targets.size >= maxShown) return;
    // Once, though it should fail: a database that is held makes the traffic wait at each try.
    shown.set(sandbox, targets.add(cut));
    try {
      store.events.append(taskId, { kind: "egress_refused", target: cut, reason });
    } catch (thrown) {
      log.error("the transcript lacks a refusal", { sandbox: id, target: cut, reason: messageOf(thrown) });
    }
  };
}
