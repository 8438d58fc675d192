import type { TaskEventBody } from "../domain/event.ts";
import { type IdSource, isId, newId, type PromptId, type SandboxId, type TaskId } from "../domain/ids.ts";
import type { Prompt } from "../domain/store/prompts.ts";
import type { Store } from "../domain/store.ts";
import type { TaskState } from "../domain/task.ts";
import { openQuestions } from "./questions.ts";

/** Which prompt has its turn, and which is next. All of it runs inside a transaction of `react`. */

export interface Run {
  store: Store;
  ids: IdSource;
  taskId: TaskId;
  sandboxId: SandboxId;
}

/**
 * What the end of a turn leaves behind, whatever the task's state. False where it says nothing about the turn that
 * runs: told again after a crash of the guest, or the end of an earlier one.
 */
export function endTurn(
  store: Store,
  ids: IdSource,
  taskId: TaskId,
  sandboxId: SandboxId,
  event: Extract<TaskEventBody, { kind: "turn_ended" }>,
): boolean {
  const prompt = promptOf(store, taskId, event.promptId);
  const busyWith = store.sandboxes.get(sandboxId)?.busyWith;
  if (busyWith !== undefined && String(busyWith) !== event.promptId) {
    // Sent at once, and never read: the turn was interrupted before.
    if (prompt?.state === "sent" && prompt.now) giveBack(store, taskId, prompt.id);
    return false;
  }
  if (prompt?.state === "sent") {
    // What has no beginning was not read. The sandbox's word for that counts where it was told to interrupt.
    const unread =
      event.outcome === "interrupted" && store.sandboxes.isInterruptedSince(sandboxId, prompt.id);
    if (unread) giveBack(store, taskId, prompt.id);
    else store.prompts.mark(prompt.id, "taken");
  }
  store.sandboxes.setBusy(sandboxId, undefined);
  store.sandboxes.update(sandboxId, {
    failure: event.outcome === "error" ? event.text || "the agent gave no reason" : "",
  });
  if (event.outcome === "done") store.tasks.forgetDeaths(taskId);
  if (event.outcome === "error" && wasCutOff(store, taskId)) {
    store.prompts.add({
      id: newId("PromptId", ids),
      taskId,
      person: { name: "" },
      text: "The work was held up from outside and can go on now. Go on where you were.",
      first: true,
    });
  }
  return true;
}

/**
 * A prompt that was given out and that no agent has begun to read waits again: as the next one, but for what was said
 * since the task was stopped.
 */
export function giveBack(store: Store, taskId: TaskId, id: PromptId): void {
  store.prompts.mark(id, "queued");
  const lastOf = (kind: "cancel_requested" | "limit_reached") => store.events.last(taskId, kind)?.seq ?? 0;
  const stopped = Math.max(lastOf("cancel_requested"), lastOf("limit_reached"));
  const since = store.events
    .ofKinds(taskId, ["prompt"])
    .flatMap(({ seq, body }) => (body.kind === "prompt" && seq > stopped ? [body.promptId] : []));
  if (since.includes(id)) return;
  const waiting = store.prompts.list(taskId).filter((each) => each.state === "queued" && each.id !== id);
  const before = waiting.findIndex((each) => !since.includes(each.id));
  store.prompts.place(id, (before === -1 ? waiting.length : before) + 1);
}

/** Whether the turn that ended did so because the task was paused, and not by itself. */
function wasCutOff(store: Store, taskId: TaskId): boolean {
  const paused = store.events.last(taskId, "pause_requested")?.seq ?? 0;
  return paused > (store.events.last(taskId, "turn_started")?.seq ?? 0);
}

/**
 * One prompt, one turn: the next one where the agent is free. With none left the guest is asked to hand over the work;
 * after an interruption the task waits for a person's word.
 */
export function goOn({ store, taskId, sandboxId }: Run): void {
  const task = store.tasks.get(taskId);
  if (task === undefined || store.sandboxes.get(sandboxId)?.busyWith !== undefined) return;
  // The end of the turn was told, and these were not read in it: their own turn comes by itself.
  const [next] = store.prompts.underway(taskId);
  if (next !== undefined) {
    store.sandboxes.setBusy(sandboxId, next.id);
    return;
  }
  if (task.held) {
    const by = store.events.last(taskId, "interrupt_requested")?.body;
    const who = by?.kind === "interrupt_requested" ? by.person : "a person";
    if (task.state.kind === "idle") return;
    store.tasks.move(taskId, {
      ...{ kind: "idle", sandboxId, interrupted: true },
      summary: `Interrupted by ${who}.`,
    });
    return;
  }
  if (sendNextPrompt(store, taskId, sandboxId)) {
    if (task.state.kind !== "running") store.tasks.move(taskId, { kind: "running", sandboxId });
    return;
  }
  if (task.state.kind === "finishing") return;
  if (task.state.kind === "idle") store.tasks.move(taskId, { kind: "running", sandboxId });
  store.sandboxes.appendCommand(sandboxId, { kind: "finish" });
  store.tasks.move(taskId, { kind: "finishing", sandboxId });
}

/** Woken by a later prompt, it shall not go on with what it was stopped at. */
export function interruptTurn({ store, sandboxId }: Run): void {
  if (store.sandboxes.get(sandboxId)?.busyWith !== undefined)
    store.sandboxes.appendCommand(sandboxId, { kind: "interrupt" });
}

/** A task waits for as long as a question of its agent is open; there may be several. */
export function waitOrRun({ store, taskId, sandboxId }: Run, state: TaskState): void {
  if (state.kind !== "running" && state.kind !== "waiting") return;
  const requestId = openQuestions(store, taskId, sandboxId)[0]?.requestId;
  if (requestId !== undefined) {
    if (state.kind === "running") store.tasks.move(taskId, { kind: "waiting", sandboxId, requestId });
  } else if (state.kind === "waiting") {
    store.tasks.move(taskId, { kind: "running", sandboxId });
  }
}

/** Puts the next queued prompt into the guest's outbox; false where none waits. */
export function sendNextPrompt(store: Store, taskId: TaskId, sandboxId: SandboxId): boolean {
  if (store.sandboxes.get(sandboxId)?.busyWith !== undefined) return true;
  const prompt = store.prompts.nextQueued(taskId);
  if (prompt === undefined) return false;
  store.prompts.mark(prompt.id, "sent");
  store.sandboxes.setBusy(sandboxId, prompt.id);
  store.sandboxes.appendCommand(sandboxId, commandOf(prompt));
  return true;
}

export function commandOf({ id, text, attachments }: Prompt) {
  return {
    ...{ kind: "prompt" as const, promptId: id, text },
    ...(attachments.length > 0 && { attachments }),
  };
}

/** By the guest's word, which is checked: a prompt of this task. */
export function promptOf(store: Store, taskId: TaskId, id: string): Prompt | undefined {
  const prompt = isId("PromptId", id) ? store.prompts.get(id) : undefined;
  return prompt?.taskId === taskId ? prompt : undefined;
}
