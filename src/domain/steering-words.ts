import { bytesText } from "./amounts.ts";
import type { TaskEventBody } from "./event.ts";
import type { AgentMode, PauseReason } from "./task.ts";

/** What people and the appliance did to a task beyond its work, in words: one text for the page, terminals and logs. */

type SteeringKind =
  | "prompt_edited"
  | "prompt_moved"
  | "prompt_sent_now"
  | "prompt_removed"
  | "cancel_requested"
  | "interrupt_requested"
  | "resume_requested"
  | "model_changed"
  | "mode_changed"
  | "sandbox_asleep"
  | "sandbox_removed"
  | "rolled_back";

/** Without a full stop. */
export function steeringInWords(body: Extract<TaskEventBody, { kind: SteeringKind }>): string {
  switch (body.kind) {
    case "prompt_edited":
      return `${body.person} changed a prompt that waits`;
    case "prompt_moved":
      return `${body.person} moved a prompt to place ${body.position} of those that wait`;
    case "prompt_sent_now":
      return `${body.person} sent a prompt at once: the agent reads it at its next step`;
    case "prompt_removed":
      return `${body.person} took a prompt back`;
    case "cancel_requested":
      return `${body.person} stopped the task`;
    case "interrupt_requested":
      return `${body.person} interrupted the agent`;
    case "resume_requested":
      return body.person === "" ? "The task goes on" : `${body.person} let the task go on`;
    case "model_changed":
      return `${body.person} changed the model to ${body.model === "" ? "the appliance's default" : body.model}`;
    case "mode_changed":
      return `${body.person} changed the mode: ${modeInWords[body.mode]}`;
    case "sandbox_asleep":
      return `The sandbox sleeps${because(body.reason)}; the next prompt wakes it`;
    case "sandbox_removed":
      return `The sandbox was removed${because(body.reason)}`;
    case "rolled_back":
      return `${body.person} rolled the task back to turn ${body.turn}`;
  }
}

export const modeInWords: Record<AgentMode, string> = {
  act: "the agent acts",
  plan: "the agent plans first, and changes nothing before its plan is approved",
};

const pauseInWords: Record<PauseReason, string> = {
  interrupted: "Interrupted",
  usage_limit: "The usage limit of the model account is reached",
  budget: "The budget is used up",
  broken: "The sandbox failed again and again",
  no_space: "A disk is full",
  questions: "The agent asks too many questions",
};

/** Why a task is paused: its kind, and what the reason adds to that; empty where it says the same. */
export function pauseParts({ why, reason }: { why: PauseReason; reason: string }): {
  kind: string;
  more: string;
} {
  const kind = pauseInWords[why];
  return { kind, more: reason.startsWith(kind) ? reason.slice(kind.length).replace(/^[.:\s]+/, "") : reason };
}

/** The same in one line. */
export function pauseText(paused: { why: PauseReason; reason: string }): string {
  const { kind, more } = pauseParts(paused);
  return more === "" ? `${kind}.` : `${kind}: ${more}`;
}

const because = (reason: string): string => (reason === "" ? "" : `: ${reason.replace(/[.\s]+$/, "")}`);

/** `shot.png, 120KiB`. */
export function attachmentText({ name, bytes }: { name: string; bytes: number }): string {
  return `${name}, ${bytesText(bytes)}`;
}
