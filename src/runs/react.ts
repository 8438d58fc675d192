import type { TaskEventBody } from "../domain/event.ts";
import { type IdSource, newId, type SandboxId, type TaskId } from "../domain/ids.ts";
import type { Store } from "../domain/store.ts";
import { isActive, type TaskState } from "../domain/task.ts";
import { restOf, waitForRoom } from "./rest-states.ts";
import { recordSnapshot } from "./snapshots.ts";
import { commandOf, endTurn, goOn, interruptTurn, promptOf, type Run, waitOrRun } from "./turns.ts";

/** From one prompt, or word to go on, to the next. Nobody answers so many; and the open ones are read together. */
const maxQuestions = 300;
/** Deaths of a task's sandbox in a row, without one finished turn between them, at which the task is paused. */
const maxDeaths = 3;

/**
 * What one event means for its task: state moves, and commands to the guest. Runs inside a transaction together with
 * the cursor, so that each event has its effect once. Says "rests" when the task is active no longer, "lost" when its
 * sandbox has to be brought back, and "no effect" of what is only there to be read.
 */
export type Outcome = "rests" | "lost" | "goes on" | "no effect";

export function react(
  store: Store,
  ids: IdSource,
  taskId: TaskId,
  sandboxId: SandboxId,
  event: TaskEventBody,
): Outcome {
  const state = store.tasks.stateOf(taskId);
  if (state === undefined || !isActive(state) || state.sandboxId !== sandboxId) {
    // What the guest says while it is being stopped: where the turn stands is needed when it is woken.
    if (event.kind === "turn_ended") endTurn(store, ids, taskId, sandboxId, event);
    return "rests";
  }
  const rest = (to: TaskState) => {
    store.tasks.move(taskId, to);
    return "rests" as const;
  };
  const task: Run = { store, ids, taskId, sandboxId };

  switch (event.kind) {
    case "step_started":
      // A sandbox that was brought back may have nothing to do but what was cut off: handing over the work.
      if (state.kind === "starting" && begun(task).kind === "running") goOn(task);
      return "goes on";

    case "turn_started": {
      begun(task);
      const prompt = promptOf(store, taskId, event.promptId);
      if (prompt?.state === "sent") {
        store.prompts.mark(prompt.id, "taken");
        store.sandboxes.setBusy(sandboxId, prompt.id);
      }
      // A command that ran in the background has ended, and the agent goes on by itself.
      if (state.kind === "idle") store.tasks.move(taskId, { kind: "running", sandboxId });
      return "goes on";
    }

    case "prompt_taken": {
      const prompt = promptOf(store, taskId, event.promptId);
      if (prompt?.state === "sent") store.prompts.mark(prompt.id, "taken");
      return "goes on";
    }

    case "turn_ended":
      begun(task);
      if (endTurn(store, ids, taskId, sandboxId, event)) goOn(task);
      return "goes on";

    case "snapshot":
      return recordSnapshot(store, taskId, sandboxId, event) ? "goes on" : "no effect";

    case "prompt":
      if (state.kind === "running" || state.kind === "waiting" || state.kind === "idle") goOn(task);
      return "goes on";

    case "prompt_sent_now": {
      const prompt = promptOf(store, taskId, event.promptId);
      if (prompt?.state !== "queued") return "no effect";
      const busy = store.sandboxes.get(sandboxId)?.busyWith !== undefined;
      if (busy && (state.kind === "running" || state.kind === "waiting")) {
        store.prompts.sendNow(prompt.id);
        store.sandboxes.appendCommand(sandboxId, { ...commandOf(prompt), now: true });
      } else {
        store.prompts.place(prompt.id, 1);
        if (state.kind !== "starting" && state.kind !== "finishing") goOn(task);
      }
      return "goes on";
    }

    case "question":
      if (store.events.count(taskId, "question", lastWordOf(store, taskId)) > maxQuestions) {
        interruptTurn(task);
        return rest(askedTooMuch(task));
      }
      if (state.kind === "running")
        store.tasks.move(taskId, { kind: "waiting", sandboxId, requestId: event.requestId });
      return "goes on";

    case "question_closed":
      waitOrRun(task, state);
      return "goes on";

    case "answered":
      store.sandboxes.appendCommand(sandboxId, {
        kind: "answer",
        requestId: event.requestId,
        answer: event.answer,
      });
      waitOrRun(task, state);
      return "goes on";

    case "interrupt_requested":
      store.tasks.update(taskId, { held: true });
      store.sandboxes.appendCommand(sandboxId, { kind: "interrupt" });
      return "goes on";

    case "resume_requested":
      if (state.kind === "idle") goOn(task);
      return "goes on";

    case "model_changed":
      store.sandboxes.appendCommand(sandboxId, { kind: "set_model", model: event.model });
      return "goes on";

    case "mode_changed":
      store.sandboxes.appendCommand(sandboxId, { kind: "set_mode", mode: event.mode });
      return "goes on";

    case "cancel_requested":
      interruptTurn(task);
      return rest({ kind: "cancelled", by: event.person });

    case "limit_reached":
      // Its work is handed over already.
      if (state.kind === "idle") return rest(restOf(state));
      if (state.kind !== "starting") interruptTurn(task);
      return rest({ kind: "failed", reason: event.reason, hint: event.hint });

    case "pause_requested":
      if (state.kind === "idle") return "no effect";
      return rest({
        kind: "paused",
        ...{ why: event.why, reason: event.reason, hint: event.hint, until: event.until },
      });

    case "sandbox_died":
      return event.sandboxId === sandboxId ? died(task, state, event.reason) : "no effect";

    case "finished": {
      const failure = store.sandboxes.get(sandboxId)?.failure ?? "";
      if (event.outcome === "no_space") {
        return state.kind === "idle" ? "no effect" : rest(waitForRoom(store, taskId, event, ids.now()));
      }
      if (event.outcome === "failed") return rest({ kind: "failed", reason: event.text, hint: event.hint });
      // Woken for nothing else, and there was nothing to push.
      if (state.kind === "starting") {
        if (begun(task).kind === "running") goOn(task);
        return "goes on";
      }
      // Handed over twice, after a crash in between; or said without having been asked, which means nothing.
      if (state.kind !== "finishing") return "no effect";
      if (failure !== "")
        return rest({ kind: "failed", reason: `The agent stopped with an error: ${failure}`, hint: "" });
      store.tasks.move(taskId, { kind: "idle", sandboxId, summary: event.text, interrupted: false });
      // What came meanwhile.
      if (store.prompts.nextQueued(taskId) !== undefined) goOn(task);
      return "goes on";
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
    case "prompt_edited":
    case "prompt_moved":
    case "rolled_back":
    case "rolled_back_push":
    case "teleported":
    case "handed_over":
    case "forked":
    case "sandbox_asleep":
    case "sandbox_removed":
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
function begun({ store, taskId, sandboxId }: Run): TaskState {
  const state = store.tasks.stateOf(taskId);
  if (state?.kind !== "starting") return state ?? { kind: "queued" };
  const running: TaskState = { kind: "running", sandboxId };
  store.tasks.move(taskId, running);
  return running;
}

function lastWordOf(store: Store, taskId: TaskId): number {
  const kinds = ["prompt", "prompt_sent_now", "resume_requested"] as const;
  return Math.max(...kinds.map((kind) => store.events.last(taskId, kind)?.seq ?? 0));
}

/** What the agent is told of it waits for a person's word, as all that waits does. */
function askedTooMuch({ store, ids, taskId }: Run): TaskState {
  const reason = `The agent asked more than ${maxQuestions} questions.`;
  store.prompts.add({
    id: newId("PromptId", ids),
    ...{ taskId, person: { name: "" }, first: true },
    text: `You were interrupted, since you asked more than ${maxQuestions} questions. Go on where you were: decide by yourself what you can, say what you assumed, and ask only what you cannot do without.`,
  });
  const hint = "Say what it may decide by itself, or let it go on: it is told to ask less.";
  return { kind: "paused", why: "questions", reason, hint };
}

/** Brings the sandbox back, unless that was tried often enough; its work, if there was none, does not matter. */
function died({ store, taskId, sandboxId }: Run, state: TaskState, reason: string): Outcome {
  if (state.kind === "idle") {
    store.tasks.move(taskId, restOf(state));
    return "rests";
  }
  const deaths = store.tasks.countDeath(taskId);
  if (deaths >= maxDeaths) {
    store.tasks.move(taskId, {
      kind: "paused",
      why: "broken",
      reason: `Its sandbox died ${deaths} times without finishing a turn. The last time: ${reason.replace(/[.]?$/, ".")}`,
      hint: "Give the environment more memory if that ran out, then let the task go on.",
    });
    return "rests";
  }
  const text = `The sandbox ended in the middle of the work: ${reason}. It is started again.`;
  store.events.append(taskId, { kind: "appliance_notice", level: "warning", text });
  store.tasks.move(taskId, { kind: "starting", sandboxId });
  return "lost";
}
