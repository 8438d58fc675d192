import { CcwError } from "../domain/errors.ts";
import { type IdSource, newId, type TaskId } from "../domain/ids.ts";
import type { Answer } from "../domain/question.ts";
import { toPermissionResponse } from "../domain/question.ts";
import type { Person, Store } from "../domain/store.ts";
import { isActive, isEnded } from "../domain/task.ts";
import { openQuestions } from "./questions.ts";
import { existing } from "./submit.ts";

/** What a person can say to a task after it was submitted. Each is one event; `react` carries it out. */

export function addPrompt(store: Store, ids: IdSource, taskId: TaskId, person: Person, text: string): void {
  store.atomically(() => {
    const { state } = existing(store, taskId);
    if (state.kind === "finishing" || isEnded(state.kind)) {
      throw new CcwError(
        "conflict",
        `The task is ${state.kind}, so it takes no more prompts.`,
        "Submit a new task that starts from this one's branch.",
      );
    }
    store.prompts.add({ id: newId("PromptId", ids), taskId, person, text });
  });
}

export function answerQuestion(
  store: Store,
  taskId: TaskId,
  person: Person,
  requestId: string,
  answer: Answer,
): void {
  store.atomically(() => {
    const { state } = existing(store, taskId);
    const asked = isActive(state)
      ? openQuestions(store, taskId, state.sandboxId).find((question) => question.requestId === requestId)
      : undefined;
    if (asked === undefined) {
      throw new CcwError(
        "conflict",
        "The task does not wait for this answer.",
        "Look at the task: the question may have been answered already.",
      );
    }
    store.events.append(taskId, {
      kind: "answered",
      requestId,
      person: person.name,
      answer: toPermissionResponse(asked.input, answer),
    });
  });
}

export function interruptTask(store: Store, taskId: TaskId, person: Person): void {
  store.atomically(() => {
    const { state } = existing(store, taskId);
    if (state.kind !== "running" && state.kind !== "waiting") {
      throw new CcwError("conflict", `The task is ${state.kind}: there is nothing to interrupt.`);
    }
    store.events.append(taskId, { kind: "interrupt_requested", person: person.name });
  });
}

export function cancelTask(store: Store, taskId: TaskId, person: Person): void {
  store.atomically(() => {
    const { state } = existing(store, taskId);
    if (isEnded(state.kind)) throw new CcwError("conflict", `The task is ${state.kind} already.`);
    if (isActive(state)) store.events.append(taskId, { kind: "cancel_requested", person: person.name });
    else store.tasks.move(taskId, { kind: "cancelled", by: person.name });
  });
}
