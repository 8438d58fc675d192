import type { GuestEvent } from "../../domain/event.ts";
import type { Json } from "../../domain/json.ts";
import type { Processes } from "../processes.ts";

/** An agent CLI that the guest can drive. Claude Code is the first of several. */
export interface Agent {
  /** As people know it. */
  readonly title: string;
  /** Starts its process. Throws `not_found` when the image has no such program. */
  start(options: AgentStart): AgentRun;
}

export interface AgentStart {
  processes: Processes;
  cwd: string;
  /** Everything it sees; nothing is inherited. */
  env: Record<string, string>;
  model: string;
  /** The agent's own name for the conversation. It goes on where the conversation exists already. */
  sessionId: string;
  /** What it has to know about the sandbox, beside its own instructions. */
  instructions: string;
  /** What commit messages end with. */
  trailers: readonly string[];
  /** The prompt that a turn which the agent starts by itself belongs to. */
  lastPromptId: string | null;
  /** One event at a time, in order; the agent's output is read no faster than this resolves. */
  emit: (event: GuestEvent) => Promise<void>;
}

/**
 * One process of the agent. A prompt is answered by `turn_started` and, unless the process dies, one `turn_ended`;
 * the next prompt may come after that. A prompt given again to a later run of the same conversation counts once.
 */
export interface AgentRun {
  prompt(promptId: string, text: string): void;
  /** Answers an open `question`; one that is closed already is ignored. */
  answer(requestId: string, answer: Json): Promise<void>;
  /** Ends the turn that runs or is about to. */
  interrupt(): void;
  /** Lets the turn end, then the process. */
  end(): Promise<AgentExit>;
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
