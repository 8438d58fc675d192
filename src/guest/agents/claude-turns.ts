import type { GuestEvent } from "../../domain/event.ts";
import { neverRan } from "../kept-prompts.ts";
import { maxCuts, toldToGoOn } from "./claude-cut-off.ts";
import type { ClaudeMeaning } from "./claude-events.ts";
import type { Owed } from "./owed-answer.ts";

type TurnOver = Extract<ClaudeMeaning, { kind: "turn_over" }>;
type Ending = Pick<Extract<GuestEvent, { kind: "turn_ended" }>, "outcome" | "text" | "usage">;

/**
 * Which prompt a turn belongs to. The CLI names prompts only in an echo, and
 * - the echo comes with the first whole block of the answer, long after the turn began;
 * - a slash command gets none at all;
 * - a prompt that an earlier process answered already gets the echo and no turn;
 * - a background command that ends starts a turn of its own, which may swallow a prompt that comes meanwhile;
 * - of several messages that wait when a turn ends it makes one turn. So it is given one at a time.
 */
export interface ClaudeTurns<Prompt extends TurnPrompt> {
  /** Gives a prompt that is to have a turn. */
  opened(prompt: Prompt): void;
  /** Gives a prompt into the turn that runs, as soon as that has begun and those before it are taken. */
  joined(prompt: Prompt): void;
  began(): GuestEvent[];
  taken(uuid: string): GuestEvent[];
  over(result: TurnOver): GuestEvent[];
  /** A person ends the turn. What waits to join it shall not: `cancel` is with the CLI already, which has to be asked. */
  withdraw(): { events: GuestEvent[]; cancel: string | undefined };
  /** The CLI's answer: whether it had not taken the prompt yet. */
  withdrawn(uuid: string, cancelled: boolean): GuestEvent[];
  readonly running: boolean;
  /** A prompt waits for its turn to begin, or a turn whose answer was cut off to go on. */
  readonly pending: boolean;
}

export interface TurnPrompt {
  promptId: string;
  uuid: string;
}

export interface ClaudeTurnsOptions<Prompt extends TurnPrompt> {
  lastPromptId: string | null;
  /** Writes it to the CLI. */
  give: (prompt: Prompt) => void;
  /** Runs `then` unless the returned function is called first. */
  after: (ms: number, then: () => void) => () => void;
  /** Events that no line of the CLI brings, but its silence. */
  late: (events: GuestEvent[]) => void;
  /** What the conversation ends with. */
  owed: () => Owed;
  /** Tells the CLI to go on with what it was at. */
  goOn: () => void;
}

/** The CLI begins the turn of a prompt it has taken within some 40 ms. */
const silenceMs = 2000;
/** So many times as long it is waited for where it owes an answer, since a machine may be busy, */
const patience = 30;
/** and after so many it is told to go on, whatever it should do by itself: what it makes of a torn end is its own. */
const trust = 5;

const unused = { inputTokens: 0, outputTokens: 0 };

export function createClaudeTurns<Prompt extends TurnPrompt>(
  options: ClaudeTurnsOptions<Prompt>,
): ClaudeTurns<Prompt> {
  let prompt: { promptId: string; uuid: string; echoed: boolean } | null = null;
  let last = options.lastPromptId;
  let running = false;
  let announced: string | null = null;
  let cancelSilence = () => {};
  /** Of a turn that goes on though an answer was cut off: what it has used before, and how often that was. */
  let spent = unused;
  let cuts = 0;
  let goingOn = false;
  let isInterrupted = false;
  const joining: Prompt[] = [];
  /** Given into the turn that runs, and not taken yet. */
  let given: { prompt: Prompt; withdrawn: boolean } | null = null;

  const announce = (): GuestEvent[] => {
    const promptId = prompt?.promptId ?? last;
    if (promptId === null || promptId === announced) return [];
    announced = promptId;
    return [{ kind: "turn_started", promptId }];
  };

  const open = (next: Prompt) => {
    prompt = { promptId: next.promptId, uuid: next.uuid, echoed: false };
    isInterrupted = false;
  };

  const giveNext = () => {
    if (!running || given !== null) return;
    const next = joining.shift();
    if (next === undefined) return;
    given = { prompt: next, withdrawn: false };
    options.give(next);
  };

  /** What came too late for a turn has the next one. */
  const promote = () => {
    if (prompt !== null || given?.withdrawn === true) return;
    if (given !== null) {
      open(given.prompt);
      given = null;
      return;
    }
    const next = joining.shift();
    if (next === undefined) return;
    open(next);
    options.give(next);
  };

  const close = ({ outcome, text, usage }: Ending): GuestEvent[] => {
    const promptId = prompt?.promptId ?? last;
    prompt = null;
    announced = null;
    spent = unused;
    cuts = 0;
    promote();
    if (promptId === null) return [];
    last = promptId;
    return [{ kind: "turn_ended", promptId, outcome, text, usage }];
  };

  const closeOrGoOn = ({ outcome, text, ...result }: TurnOver): GuestEvent[] => {
    const usage = {
      inputTokens: spent.inputTokens + result.usage.inputTokens,
      outputTokens: spent.outputTokens + result.usage.outputTokens,
    };
    if (outcome !== "cut off") return close({ outcome, text, usage });
    if (isInterrupted) return close({ outcome: "interrupted", text, usage });
    if (cuts >= maxCuts) return close({ outcome: "error", text, usage });
    spent = usage;
    cuts++;
    goingOn = true;
    options.goOn();
    return [toldToGoOn];
  };

  const whenSilent = (then: () => void) => {
    cancelSilence();
    cancelSilence = options.after(silenceMs, then);
  };

  /** Of a prompt that an earlier process was given, too: it was answered then, or its turn goes on. */
  const closeWhenSilent = (waited = 1, isTold = false) =>
    whenSilent(() => {
      const owed = options.owed();
      if (owed === "nothing") {
        const text = "The agent had answered this prompt before it was started again.";
        return options.late([
          ...announce(),
          { kind: "notice", level: "info", text },
          ...close({ outcome: "done", text: "", usage: unused }),
        ]);
      }
      const tell = !isTold && (owed === "when told" || waited >= trust);
      if (tell) options.goOn();
      if (waited < patience) return closeWhenSilent(waited + 1, isTold || tell);
      const text = "The agent did not go on with this prompt when it was started again.";
      options.late([...announce(), ...close({ outcome: "error", text, usage: unused })]);
    });

  return {
    opened(next) {
      open(next);
      options.give(next);
    },
    joined(next) {
      joining.push(next);
      if (running) giveNext();
      else promote();
    },
    began() {
      cancelSilence();
      running = true;
      goingOn = false;
      giveNext();
      return announce();
    },
    taken(uuid) {
      if (given?.prompt.uuid === uuid) {
        const { promptId } = given.prompt;
        given = null;
        giveNext();
        return [{ kind: "prompt_taken", promptId }];
      }
      if (prompt?.uuid !== uuid) return [];
      prompt.echoed = true;
      if (!running) {
        closeWhenSilent();
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
        whenSilent(() => options.late(closeOrGoOn(result)));
        return [];
      }
      return closeOrGoOn(result);
    },
    withdraw() {
      isInterrupted = true;
      const events = joining.splice(0).map(({ promptId }) => neverRan(promptId));
      if (given === null) return { events, cancel: undefined };
      given.withdrawn = true;
      return { events, cancel: given.prompt.uuid };
    },
    withdrawn(uuid, cancelled) {
      if (given?.prompt.uuid !== uuid) return [];
      const { promptId } = given.prompt;
      if (cancelled) given = null;
      else given.withdrawn = false;
      if (!running) promote();
      return cancelled ? [neverRan(promptId)] : [];
    },
    get running() {
      return running;
    },
    get pending() {
      return (prompt !== null || goingOn) && !running;
    },
  };
}
