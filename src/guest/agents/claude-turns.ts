import type { GuestEvent } from "../../domain/event.ts";
import type { ClaudeMeaning } from "./claude-events.ts";

type TurnOver = Extract<ClaudeMeaning, { kind: "turn_over" }>;

/**
 * Which prompt a turn belongs to. The CLI names prompts only in an echo, and
 * - the echo comes with the first whole block of the answer, long after the turn began;
 * - a slash command gets none at all;
 * - a prompt that an earlier process answered already gets the echo and no turn;
 * - a background command that ends starts a turn of its own, which may swallow a prompt that comes meanwhile.
 */
export interface ClaudeTurns {
  opened(prompt: { promptId: string; uuid: string }): void;
  began(): GuestEvent[];
  taken(uuid: string): GuestEvent[];
  over(result: TurnOver): GuestEvent[];
  readonly running: boolean;
  /** A prompt waits for its turn to begin. */
  readonly pending: boolean;
}

export interface ClaudeTurnsOptions {
  lastPromptId: string | null;
  /** Runs `then` unless the returned function is called first. */
  after: (ms: number, then: () => void) => () => void;
  /** Events that no line of the CLI brings, but its silence. */
  late: (events: GuestEvent[]) => void;
}

/** The CLI begins the turn of a prompt it has taken within some 40 ms. */
const silenceMs = 2000;

export function createClaudeTurns(options: ClaudeTurnsOptions): ClaudeTurns {
  let prompt: { promptId: string; uuid: string; echoed: boolean } | null = null;
  let last = options.lastPromptId;
  let running = false;
  let announced: string | null = null;
  let cancelSilence = () => {};

  const announce = (): GuestEvent[] => {
    const promptId = prompt?.promptId ?? last;
    if (promptId === null || promptId === announced) return [];
    announced = promptId;
    return [{ kind: "turn_started", promptId }];
  };

  const close = ({ outcome, text, usage }: Omit<TurnOver, "kind">): GuestEvent[] => {
    const promptId = prompt?.promptId ?? last;
    prompt = null;
    announced = null;
    if (promptId === null) return [];
    last = promptId;
    return [{ kind: "turn_ended", promptId, outcome, text, usage }];
  };

  const whenSilent = (events: () => GuestEvent[]) => {
    cancelSilence();
    cancelSilence = options.after(silenceMs, () => options.late(events()));
  };

  return {
    opened(given) {
      prompt = { ...given, echoed: false };
    },
    began() {
      cancelSilence();
      running = true;
      return announce();
    },
    taken(uuid) {
      if (prompt?.uuid !== uuid) return [];
      prompt.echoed = true;
      if (!running) {
        whenSilent(() => [
          ...announce(),
          {
            kind: "notice",
            level: "info",
            text: "The agent had answered this prompt before it was started again.",
          },
          ...close({ outcome: "done", text: "", usage: { inputTokens: 0, outputTokens: 0 } }),
        ]);
        return [];
      }
      return announce();
    },
    over(result) {
      // An end without a beginning is a process that could not start; its exit tells.
      if (!running) return [];
      running = false;
      if (prompt !== null && !prompt.echoed) {
        // The end of a turn of the agent's own, with this prompt's still to come; or of one that gets no echo.
        whenSilent(() => close(result));
        return [];
      }
      return close(result);
    },
    get running() {
      return running;
    },
    get pending() {
      return prompt !== null && !running;
    },
  };
}
