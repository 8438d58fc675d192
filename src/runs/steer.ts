import { CcwError } from "../domain/errors.ts";
import { type IdSource, isId, newId, type PromptId, type TaskId } from "../domain/ids.ts";
import type { Json } from "../domain/json.ts";
import { plainLine } from "../domain/plain-text.ts";
import { type Answer, toPermissionResponse } from "../domain/question.ts";
import { questionsOf, unanswered } from "../domain/question-text.ts";
import type { Person } from "../domain/store/people.ts";
import type { Prompt } from "../domain/store/prompts.ts";
import type { Store } from "../domain/store.ts";
import { type AgentMode, isActive, isEnded, type TaskState } from "../domain/task.ts";
import { cut } from "../domain/text-line.ts";
import { openQuestions } from "./questions.ts";
import { attachmentIdOf, existing } from "./submit.ts";

/**
 * What a person can say to a task after it was submitted. Each is one event. Of an active task `react` carries it out;
 * one that rests goes back into the queue for it, and its sandbox is woken or built anew.
 */

/** Nobody plans so far ahead; and a script that runs wild is told so. */
const maxQueued = 200;

export interface NewPrompt {
  text: string;
  attachments?: readonly string[] | undefined;
  /** Not to wait for its turn. */
  now?: boolean | undefined;
}

export function addPrompt(
  store: Store,
  ids: IdSource,
  taskId: TaskId,
  person: Person,
  { text, attachments = [], now = false }: NewPrompt,
): PromptId {
  return store.atomically(() => {
    const task = existing(store, taskId);
    if (store.prompts.list(taskId).filter(({ state }) => state === "queued").length >= maxQueued) {
      throw new CcwError(
        "conflict",
        `${maxQueued} prompts wait for this task already.`,
        "Remove some of them, or let the agent work on them first.",
      );
    }
    const id = newId("PromptId", ids);
    const files = store.attachments.claim(attachments.map(attachmentIdOf), person.id, { taskId });
    // What is said to a task that was stopped comes before what had been waiting when it was.
    const first = task.held || task.state.kind === "paused" || isEnded(task.state.kind);
    store.tasks.update(taskId, { held: false });
    store.prompts.add({ id, taskId, person, text, attachments: files, first });
    if (now) store.events.append(taskId, { kind: "prompt_sent_now", promptId: id, person: person.name });
    goOnFrom(store, taskId, task.state);
    return id;
  });
}

export function editPrompt(store: Store, taskId: TaskId, person: Person, id: string, text: string): void {
  store.atomically(() => {
    const { id: promptId } = waitingPrompt(store, taskId, id);
    store.prompts.edit(promptId, text);
    store.events.append(taskId, { kind: "prompt_edited", promptId, person: person.name, text });
  });
}

/** `position`: its new place among those that wait, from 1. */
export function movePrompt(store: Store, taskId: TaskId, person: Person, id: string, position: number): void {
  store.atomically(() => {
    const { id: promptId } = waitingPrompt(store, taskId, id);
    store.prompts.place(promptId, position);
    store.events.append(taskId, { kind: "prompt_moved", promptId, person: person.name, position });
  });
}

export function removePrompt(store: Store, taskId: TaskId, person: Person, id: string): void {
  store.atomically(() => {
    const { id: promptId } = waitingPrompt(store, taskId, id);
    store.prompts.mark(promptId, "removed");
    store.events.append(taskId, { kind: "prompt_removed", promptId, person: person.name });
  });
}

/** Reaches the agent at the next step of the turn that runs; where none runs it is the next prompt. */
export function sendPromptNow(store: Store, taskId: TaskId, person: Person, id: string): void {
  store.atomically(() => {
    const { state } = existing(store, taskId);
    const { id: promptId } = waitingPrompt(store, taskId, id);
    store.tasks.update(taskId, { held: false });
    store.prompts.place(promptId, 1);
    store.events.append(taskId, { kind: "prompt_sent_now", promptId, person: person.name });
    goOnFrom(store, taskId, state);
  });
}

/** Lets go on what was held: the queue after an interruption, a task that was paused, or that failed. */
export function resumeTask(store: Store, ids: IdSource, taskId: TaskId, person: Person): void {
  store.atomically(() => {
    const { state, held } = existing(store, taskId);
    const can = state.kind === "paused" || state.kind === "failed" || held;
    if (!can) {
      throw new CcwError(
        "conflict",
        `The task is ${state.kind}: there is nothing to let go on.`,
        "One that is paused, failed or held goes on by this; send any other a prompt.",
      );
    }
    store.tasks.update(taskId, { held: false });
    if (state.kind === "failed" && store.prompts.nextQueued(taskId) === undefined) {
      const text = "Try again, and go on where you were.";
      store.prompts.add({ id: newId("PromptId", ids), taskId, person, text });
    }
    store.events.append(taskId, { kind: "resume_requested", person: person.name });
    goOnFrom(store, taskId, state);
  });
}

export function setModel(store: Store, taskId: TaskId, person: Person, model: string): void {
  store.atomically(() => {
    existing(store, taskId);
    store.tasks.update(taskId, { model });
    store.events.append(taskId, { kind: "model_changed", person: person.name, model });
  });
}

export function setMode(store: Store, taskId: TaskId, person: Person, mode: AgentMode): void {
  store.atomically(() => {
    existing(store, taskId);
    store.tasks.update(taskId, { mode });
    store.events.append(taskId, { kind: "mode_changed", person: person.name, mode });
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
    expectFits(asked, answer);
    const response = toPermissionResponse(asked.input, answer);
    // The plan is approved, and the agent leaves plan mode by itself.
    if (asked.tool === "ExitPlanMode" && answer.kind === "allow") store.tasks.update(taskId, { mode: "act" });
    store.events.append(taskId, { kind: "answered", requestId, person: person.name, answer: response });
  });
}

/** A question takes an answer, leave for a tool a yes; both a no. `invalid` for what does not fit. */
function expectFits({ tool, input }: { tool: string; input: Json }, answer: Answer): void {
  if (answer.kind === "deny") return;
  const isLeave = questionsOf(tool, input).length === 0;
  if (isLeave && answer.kind === "answers") {
    throw new CcwError(
      "invalid",
      "The agent asks for leave, and not for an answer.",
      "Allow it, or deny it.",
    );
  }
  const [missing] = unanswered(tool, input, answer.kind === "answers" ? answer.answers : {});
  if (missing === undefined) return;
  throw new CcwError(
    "invalid",
    `There is no answer to "${cut(plainLine(missing), 300)}".`,
    "Answer each question, by its own text.",
  );
}

/** Ends the turn that runs. The sandbox stays, and what waits does so until a person says something. */
export function interruptTask(store: Store, taskId: TaskId, person: Person): void {
  store.atomically(() => {
    const { state } = existing(store, taskId);
    if (state.kind !== "running" && state.kind !== "waiting") {
      throw new CcwError(
        "conflict",
        `The task is ${state.kind}: there is nothing to interrupt.`,
        "A turn that runs can be interrupted; whatever else it does, a task can be stopped.",
      );
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

/** An active task hears of it by its events; one that rests is put back into the queue. */
function goOnFrom(store: Store, taskId: TaskId, state: TaskState): void {
  // What its sandbox may write into the transcript counts from a person's last word.
  const sandbox = store.sandboxes.current(taskId);
  if (sandbox !== undefined) store.sandboxes.update(sandbox.id, { eventBytes: 0 });
  if (state.kind === "queued" || isActive(state)) return;
  store.tasks.forgetDeaths(taskId);
  store.tasks.reopen(taskId);
}

function waitingPrompt(store: Store, taskId: TaskId, id: string): Prompt {
  existing(store, taskId);
  const prompt = isId("PromptId", id) ? store.prompts.get(id) : undefined;
  if (prompt === undefined || prompt.taskId !== taskId) {
    throw new CcwError(
      "not_found",
      `The task has no prompt ${JSON.stringify(id.slice(0, 60))}.`,
      "`ccw-server task prompts TASK` lists them.",
    );
  }
  if (prompt.state !== "queued") {
    throw new CcwError(
      "conflict",
      prompt.state === "removed"
        ? "The prompt was removed already."
        : "The agent has taken this prompt already.",
      prompt.state === "removed" ? "" : "Say something else to it, or interrupt it.",
    );
  }
  return prompt;
}
