import type { TaskEventBody } from "../domain/event.ts";
import type { SandboxId, TaskId } from "../domain/ids.ts";
import type { Store } from "../domain/store.ts";
import { isEnded, type TaskState } from "../domain/task.ts";
import { openQuestions } from "./questions.ts";

/** Nobody answers so many; and the open ones are read together. */
const maxQuestions = 300;

/**
 * What one event means for its task: state moves, and commands to the guest. Runs inside a transaction together with
 * the cursor, so that each event has its effect once. Says "ended" when the task has, and "no effect" of what is only
 * there to be read.
 */
export function react(
  store: Store,
  taskId: TaskId,
  sandboxId: SandboxId,
  event: TaskEventBody,
): "ended" | "goes on" | "no effect" {
  const state = store.tasks.stateOf(taskId);
  if (state === undefined || isEnded(state.kind)) return "ended";
  const end = (to: TaskState) => {
    store.tasks.move(taskId, to);
    return "ended" as const;
  };

  switch (event.kind) {
    case "step_started":
      begun(store, taskId, sandboxId, state);
      return "goes on";

    case "turn_started": {
      const busyWith = store.sandboxes.get(sandboxId)?.busyWith;
      if (busyWith !== undefined && String(busyWith) === event.promptId)
        store.prompts.mark(busyWith, "taken");
      return "goes on";
    }

    case "turn_ended": {
      // Told again after a crash of the guest, the end of an earlier turn says nothing about the one that runs.
      const busyWith = store.sandboxes.get(sandboxId)?.busyWith;
      if (busyWith !== undefined && String(busyWith) !== event.promptId) return "goes on";
      store.sandboxes.setBusy(sandboxId, undefined);
      store.sandboxes.update(sandboxId, {
        failure: event.outcome === "error" ? event.text || "the agent gave no reason" : "",
      });
      goOn(store, taskId, sandboxId, begun(store, taskId, sandboxId, state));
      return "goes on";
    }

    case "prompt":
      if (state.kind !== "starting" && state.kind !== "finishing") goOn(store, taskId, sandboxId, state);
      return "goes on";

    case "question":
      if (store.events.count(taskId, "question") > maxQuestions) {
        return end({
          kind: "failed",
          reason: `The agent asked more than ${maxQuestions} questions.`,
          hint: "Say in the prompt what it may decide by itself.",
        });
      }
      if (state.kind === "running")
        store.tasks.move(taskId, { kind: "waiting", sandboxId, requestId: event.requestId });
      return "goes on";

    case "question_closed":
      waitOrRun(store, taskId, sandboxId, state);
      return "goes on";

    case "answered":
      store.sandboxes.appendCommand(sandboxId, {
        kind: "answer",
        requestId: event.requestId,
        answer: event.answer,
      });
      waitOrRun(store, taskId, sandboxId, state);
      return "goes on";

    case "interrupt_requested":
      store.sandboxes.appendCommand(sandboxId, { kind: "interrupt" });
      return "goes on";

    case "cancel_requested":
      return end({ kind: "cancelled", by: event.person });

    case "limit_reached":
      return end({ kind: "failed", reason: event.reason, hint: event.hint });

    case "sandbox_died":
      return end({
        kind: "failed",
        reason: `The sandbox ended before the work was done: ${event.reason}`,
        hint: "What the agent had pushed is on its branch. Submit the task again to go on from there.",
      });

    case "finished": {
      const failure = store.sandboxes.get(sandboxId)?.failure ?? "";
      if (event.outcome === "failed") return end({ kind: "failed", reason: event.text, hint: event.hint });
      if (failure !== "")
        return end({ kind: "failed", reason: `The agent stopped with an error: ${failure}`, hint: "" });
      // A guest that claims to have finished without having been asked to has not gone the way.
      if (state.kind !== "finishing") {
        return end({
          kind: "failed",
          reason: "The sandbox said that it had finished before its work was done.",
          hint: "",
        });
      }
      return end({ kind: "completed", summary: event.text });
    }

    case "step_output":
    case "step_done":
    case "assistant_delta":
    case "assistant_text":
    case "thinking":
    case "tool_use":
    case "tool_result":
    case "notice":
    case "unknown":
    case "pushed":
    case "state":
    case "prompt_removed":
    case "sandbox_started":
    case "push_refused":
    case "kept_pushed":
    case "egress_refused":
    case "access_requested":
    case "access_granted":
    case "access_denied":
    case "access_expired":
    case "pull_request_opened":
    case "pull_request_updated":
    case "pull_request_merged":
    case "pull_request_closed":
    case "appliance_notice":
      return "no effect";
  }
}

/** The state of a task whose sandbox has begun to work; a guest may say so by any of its events. */
function begun(store: Store, taskId: TaskId, sandboxId: SandboxId, state: TaskState): TaskState {
  if (state.kind !== "starting") return state;
  const running: TaskState = { kind: "running", sandboxId };
  store.tasks.move(taskId, running);
  return running;
}

/** A task waits for as long as a question of its agent is open; there may be several. */
function waitOrRun(store: Store, taskId: TaskId, sandboxId: SandboxId, state: TaskState): void {
  if (state.kind !== "running" && state.kind !== "waiting") return;
  const requestId = openQuestions(store, taskId, sandboxId)[0]?.requestId;
  if (requestId !== undefined) {
    if (state.kind === "running") store.tasks.move(taskId, { kind: "waiting", sandboxId, requestId });
  } else if (state.kind === "waiting") {
    store.tasks.move(taskId, { kind: "running", sandboxId });
  }
}

/** One prompt, one turn: the next one where the agent is free; with none left the guest is asked to finish. */
function goOn(store: Store, taskId: TaskId, sandboxId: SandboxId, state: TaskState): void {
  if (store.sandboxes.get(sandboxId)?.busyWith !== undefined) return;
  if (sendNextPrompt(store, taskId, sandboxId)) return;
  if (state.kind === "finishing") return;
  store.sandboxes.appendCommand(sandboxId, { kind: "finish" });
  store.tasks.move(taskId, { kind: "finishing", sandboxId });
}

/** Puts the oldest queued prompt into the guest's outbox; false where none waits. */
export function sendNextPrompt(store: Store, taskId: TaskId, sandboxId: SandboxId): boolean {
  if (store.sandboxes.get(sandboxId)?.busyWith !== undefined) return true;
  const prompt = store.prompts.nextQueued(taskId);
  if (prompt === undefined) return false;
  store.prompts.mark(prompt.id, "sent");
  store.sandboxes.setBusy(sandboxId, prompt.id);
  store.sandboxes.appendCommand(sandboxId, { kind: "prompt", promptId: prompt.id, text: prompt.text });
  return true;
}
