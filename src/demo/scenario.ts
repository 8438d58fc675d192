import type { Json } from "../domain/json.ts";
import type { Conversation, ModelStep } from "./conversation.ts";

/** What the demo model does next. */
export type Step =
  /** Text, and the turn ends. */
  | { kind: "say"; text: string }
  /** Tools, and text before them; with `overMs` the text comes piece by piece, spread over that time. */
  | { kind: "use"; text: string; tools: ToolUse[]; overMs?: number }
  | { kind: "refuse"; status: number; type: ApiErrorType; message: string }
  /** Refuses as an account whose usage limit is reached, for so long. */
  | { kind: "limit"; seconds: number }
  /** Sends the head of the answer, then nothing more, until the other side gives up. */
  | { kind: "stall" }
  /** Breaks the connection in the middle of this text, or behind it, before the answer is said to be over. */
  | { kind: "cut"; where: "middle" | "end"; text: string };

export type ApiErrorType =
  | "invalid_request_error"
  | "authentication_error"
  | "not_found_error"
  | "request_too_large"
  | "rate_limit_error"
  | "overloaded_error";

export interface ToolUse {
  name: string;
  input: Record<string, Json>;
}

/** How often this very step was asked before, and anything at all for this prompt. */
export interface Attempts {
  attempt: number;
  asked: number;
}

/** A conversation, with what was written behind the scenario's name. */
export interface Turn extends Conversation, Attempts {
  args: string[];
}

export interface Scenario {
  name: string;
  /** For the list that people are shown. */
  summary: string;
  /** Plain words that choose it, where no `demo: NAME` line does. */
  words: RegExp | undefined;
  /** Pure: the same turn gives the same step. */
  play(turn: Turn): Step;
}

export const label = "I am the built-in demo model: a script, not an AI.";

export function say(text: string): Step {
  return { kind: "say", text };
}

export function use(text: string, ...tools: ToolUse[]): Step {
  return { kind: "use", text, tools };
}

/** `timeoutSeconds` is the agent's own limit for the command. */
export function bash(command: string, description: string, timeoutSeconds = 120): ToolUse {
  return { name: "Bash", input: { command, description, timeout: timeoutSeconds * 1000 } };
}

/** What the first tool of the latest step answered. */
export function lastResult(turn: Turn): { text: string; isError: boolean } {
  return turn.steps.at(-1)?.uses[0]?.result ?? { text: "", isError: true };
}

/** What the first tool of step `index` answered. */
export function resultText(steps: ModelStep[], index: number): string {
  return steps[index]?.uses[0]?.result?.text ?? "";
}

/** The first argument as a whole number within bounds, or `fallback`. */
export function countArgument(turn: Turn, fallback: number, most: number): number {
  const count = Number(turn.args[0]);
  return Number.isInteger(count) && count > 0 ? Math.min(count, most) : fallback;
}

/** Git's words as a quotation for the transcript. */
export function quote(text: string): string {
  return `\`\`\`\n${text.trim().replaceAll("```", "'''")}\n\`\`\``;
}
