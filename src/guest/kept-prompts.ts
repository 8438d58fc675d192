import type { GuestEvent } from "../domain/event.ts";
import type { GuestState, KeptPrompt, StateFile } from "./state.ts";

/** Which prompt is whose turn, kept over the deaths of guest and agent. */
export interface KeptPrompts {
  /** Keeps it, and says what is to be done with it now. One that is kept already is `known`. */
  add(
    prompt: Omit<KeptPrompt, "key">,
    now: boolean,
  ): { kind: "open" | "join" | "wait" | "known"; prompt: KeptPrompt };
  /** What was sent to join, and what waits, shall not run; returns the words about what the agent has not seen. */
  interrupt(): GuestEvent[];
  /**
   * After the agent's death: what of those that were to join has to be given again, in order, with words about the
   * others. `holds`: whether the conversation has it.
   */
  recover(holds: (key: string) => boolean): { again: KeptPrompt[]; events: GuestEvent[] };
  /** Whether the appliance knows already what the event says. */
  isStale(event: GuestEvent): boolean;
  /** Whether its turn has begun, as far as that was told. */
  hasBegun(promptId: string): boolean;
  /** Whether it is the end of a turn, and not only of a prompt that never had one. */
  endsTurn(event: GuestEvent): event is Extract<GuestEvent, { kind: "turn_ended" }>;
}

/** The end of a prompt that the agent has never seen. */
export const neverRan = (promptId: string): GuestEvent => ({
  kind: "turn_ended",
  promptId,
  outcome: "interrupted",
  text: "",
  usage: { inputTokens: 0, outputTokens: 0 },
});

/** Interruptions beyond the last so many are forgotten. */
const maxInterrupted = 50;

export function keepPrompts(state: StateFile): KeptPrompts {
  const isJoining = (promptId: string) =>
    state.value.joining.some((each) => each.promptId === promptId) &&
    state.value.openPrompt?.promptId !== promptId;
  const hasBegun = (promptId: string) => state.value.lastPromptId === promptId;

  return {
    add(given, now) {
      const { openPrompt, joining, nextPrompts, interrupted } = state.value;
      const times = interrupted[given.promptId];
      const prompt = { ...given, key: times === undefined ? given.promptId : `${given.promptId} ${times}` };
      const known = [openPrompt, ...joining, ...nextPrompts].some(
        (each) => each?.promptId === prompt.promptId,
      );
      if (known) return { kind: "known", prompt };
      if (openPrompt === null) {
        state.update({ openPrompt: prompt });
        return { kind: "open", prompt };
      }
      if (now) {
        state.update({ joining: [...joining, { ...prompt, taken: false, told: false, withdrawn: false }] });
        return { kind: "join", prompt };
      }
      state.update({ nextPrompts: [...nextPrompts, prompt] });
      return { kind: "wait", prompt };
    },

    interrupt() {
      const { openPrompt, joining, nextPrompts } = state.value;
      const waiting = nextPrompts.map((each) => ({ ...each, taken: false, told: false, withdrawn: true }));
      const joined = joining.map((each) => (each.taken ? each : { ...each, withdrawn: true }));
      // Kept until their end is told, by this guest or the next.
      state.update({
        ...{ joining: [...joined, ...waiting], nextPrompts: [] },
        interrupting: openPrompt?.promptId ?? null,
      });
      return waiting.map(({ promptId }) => neverRan(promptId));
    },

    recover(holds) {
      const again: KeptPrompt[] = [];
      const events: GuestEvent[] = [];
      for (const each of state.value.joining) {
        const { promptId } = each;
        if (holds(each.key)) events.push({ kind: "prompt_taken", promptId });
        else if (each.withdrawn) events.push(neverRan(promptId));
        else again.push(each);
      }
      const keys = new Set(again.map(({ key }) => key));
      state.update({
        joining: state.value.joining.map((each) => (keys.has(each.key) ? { ...each, taken: false } : each)),
      });
      return { again, events };
    },

    isStale(event) {
      if (event.kind !== "prompt_taken") return false;
      const found = state.value.joining.find(({ promptId }) => promptId === event.promptId);
      return found?.told !== false;
    },

    hasBegun,

    endsTurn: (event): event is Extract<GuestEvent, { kind: "turn_ended" }> =>
      event.kind === "turn_ended" &&
      !isJoining(event.promptId) &&
      (event.outcome !== "interrupted" || hasBegun(event.promptId)),
  };
}

/** What an event changes in what is kept. It is taken as told: where it stands in the spool, this follows from it. */
export function afterEvent(state: GuestState, event: GuestEvent): Partial<GuestState> {
  const { openPrompt, joining, nextPrompts, questions } = state;
  switch (event.kind) {
    case "turn_started":
      return { lastPromptId: event.promptId };
    case "prompt_taken": {
      const take = (each: (typeof joining)[number]) => ({ ...each, taken: true, told: true });
      return { joining: joining.map((each) => (each.promptId === event.promptId ? take(each) : each)) };
    }
    case "question":
      return { questions: [...questions, event.requestId] };
    case "question_closed":
      return { questions: questions.filter((open) => open !== event.requestId) };
    case "turn_ended": {
      const interrupted = event.outcome === "interrupted" ? withOneMore(state, event.promptId) : {};
      if (openPrompt?.promptId !== event.promptId)
        return { joining: joining.filter(({ promptId }) => promptId !== event.promptId), ...interrupted };
      // As the agent does it: what came too late to join has the next turn, before what waits for one.
      const late = joining.filter(({ taken, withdrawn }) => !taken && !withdrawn);
      const withdrawn = joining.filter((each) => !each.taken && each.withdrawn);
      const [promoted, ...left] = late;
      const [next, ...later] = nextPrompts;
      return {
        openPrompt: promoted ?? next ?? null,
        joining: [...withdrawn, ...left],
        nextPrompts: promoted === undefined ? later : nextPrompts,
        interrupting: null,
        ...interrupted,
      };
    }
    default:
      return {};
  }
}

function withOneMore({ interrupted }: GuestState, promptId: string): Pick<GuestState, "interrupted"> {
  const others = Object.entries(interrupted).filter(([id]) => id !== promptId);
  const kept = [...others, [promptId, (interrupted[promptId] ?? 0) + 1] as const].slice(-maxInterrupted);
  return { interrupted: Object.fromEntries(kept) };
}
