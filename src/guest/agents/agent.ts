import type { GuestEvent } from "../../domain/event.ts";
import type { Json } from "../../domain/json.ts";
import type { AgentMode } from "../../domain/task.ts";
import type { Processes } from "../processes.ts";
import type { Heard } from "./heard.ts";

/** What is said to an agent that was cut off in the middle of a turn; Claude Code has the same words for itself. */
export const goOn = "Continue from where you left off.";

/** An agent CLI that the guest can drive. Claude Code is the first of several. */
export interface Agent {
  /** As people know it. */
  readonly title: string;
  /** Starts its process. Throws `not_found` when the image has no such program. */
  start(options: AgentStart): AgentRun;
  /** What it asks a person with, as it is told: a tool's name, or words. */
  readonly asksWith: string;
  /** What its process has beside the shell's variables, which nothing that an environment says can change. */
  variables(model: ModelAccess): Record<string, string>;
  /** Where the conversation lies on disk; undefined where there is none. */
  conversation(of: Pick<AgentStart, "env" | "sessionId">): ConversationFiles | undefined;
  /** Where it would look for one that was brought from elsewhere: the folder for those names. */
  conversationHome(of: Pick<AgentStart, "env" | "cwd">): string;
  /** The conversation that was brought there, of another task perhaps, goes on as this session. */
  adoptConversation(of: Pick<AgentStart, "env" | "cwd" | "sessionId">): void;
  /** Whether the conversation on disk holds the prompt that was given under this key. */
  holdsPrompt(of: Pick<AgentStart, "env" | "sessionId">, key: string): boolean;
  /**
   * What the conversation on disk holds and nobody was told: a process said it and died, or the guest did first. Asked
   * while no process runs. `heard` null: of a conversation that was never listened to everything is known. `upTo`: its
   * last message. Undefined for an agent whose conversation cannot be read, or is shown by its next process alone.
   */
  unheard?(
    of: Pick<AgentStart, "env" | "sessionId">,
    heard: Heard | null,
  ): { said: GuestEvent[]; upTo: string };
}

/** The way to the model, at the appliance's door. */
export interface ModelAccess {
  /** Without a slash at the end; what the API calls `/v1/…` is below it. */
  url: string;
  /** Scoped to this sandbox. */
  token: string;
}

export interface ConversationFiles {
  folder: string;
  /** Files and folders in there which belong to it. */
  names: string[];
  /** Has whoever writes them stand still until what it resolves with is called; for files that one by one are no copy. */
  hold?: () => Promise<() => void>;
}

export interface AgentStart {
  processes: Processes;
  cwd: string;
  /** Everything it sees; nothing is inherited. */
  env: Record<string, string>;
  model: string;
  mode: AgentMode;
  /** The agent's own name for the conversation. It goes on where the conversation exists already. */
  sessionId: string;
  /** What it has to know about the sandbox, beside its own instructions. */
  instructions: string;
  /** What commit messages end with. */
  trailers: readonly string[];
  /** The prompt that a turn which the agent starts by itself belongs to. */
  lastPromptId: string | null;
  /** The turn that an earlier process did not come to the end of, and what was told by then; null where there is none. */
  unfinished: { key: string; heard: Heard } | null;
  /** One event at a time, in order; the agent's output is read no faster than this resolves. */
  emit: (event: GuestEvent) => Promise<void>;
  /** It has changed its mode by itself, as by a plan that was approved. */
  modeChanged: (mode: AgentMode) => void;
}

export interface AgentPrompt {
  promptId: string;
  /** What is given twice under one key counts once. Another one than before where it is meant to count again. */
  key: string;
  text: string;
  images: readonly { path: string; mediaType: string }[];
}

/**
 * One process of the agent. A prompt is answered by `turn_started` and, unless the process dies, one `turn_ended`;
 * the next prompt may come after that. A prompt given again to a later run of the same conversation counts once.
 */
export interface AgentRun {
  prompt(prompt: AgentPrompt): void;
  /**
   * While the turn of a prompt runs: given at its next step, and answered by `prompt_taken`. Where the turn ends first it
   * becomes a turn of its own. What an interrupt finds not yet taken never runs, and is answered by `turn_ended` alone.
   */
  now(prompt: AgentPrompt): void;
  /**
   * From the next request on, or from the next turn where the agent cannot sooner, which it says then; empty for the
   * agent's default.
   */
  setModel(model: string): void;
  setMode(mode: AgentMode): void;
  /** Resolves when all that was said is in the conversation's files, or when that takes too long. */
  settled(): Promise<void>;
  /** Answers an open `question`; one that is closed already is ignored. */
  answer(requestId: string, answer: Json): Promise<void>;
  /** Ends the turn that runs or is about to. */
  interrupt(): void;
  /** Ends the process now, with everything it started. */
  kill(): Promise<AgentExit>;
  /** Resolves after the last event was taken. */
  readonly exited: Promise<AgentExit>;
}

export interface AgentExit {
  /** In words: "exit code 1", "signal SIGKILL". */
  how: string;
  /** The end of what it wrote to standard error. */
  stderr: string;
}
