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
  /** Whether it is the end of a turn, and not only of a prompt that never had one. */
  endsTurn(event: GuestEvent): event is Extract<GuestEvent, { kind: "turn_ended" }>;
  /** Keeps what an event means, which is in the spool by then. Returns the prompt that is now to be given, if any. */
  remember(event: GuestEvent): KeptPrompt | undefined;
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
      const { joining, nextPrompts } = state.value;
      state.update({
        joining: joining.map((each) => (each.taken ? each : { ...each, withdrawn: true })),
        nextPrompts: [],
      });
      return nextPrompts.map(({ promptId }) => neverRan(promptId));
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

    endsTurn: (event): event is Extract<GuestEvent, { kind: "turn_ended" }> =>
      event.kind === "turn_ended" && !isJoining(event.promptId),

    remember(event) {
      const { openPrompt, joining, questions } = state.value;
      if (event.kind === "turn_started") state.update({ lastPromptId: event.promptId });
      if (event.kind === "prompt_taken") {
        const { promptId } = event;
        state.update({
          joining: joining.map((each) =>
            each.promptId === promptId ? { ...each, taken: true, told: true } : each,
          ),
        });
      }
      if (event.kind === "question") state.update({ questions: [...questions, event.requestId] });
      if (event.kind === "question_closed")
        state.update({ questions: questions.filter((open) => open !== event.requestId) });
      if (event.kind !== "turn_ended") return undefined;

      const interrupted = event.outcome === "interrupted" ? withOneMore(state.value, event.promptId) : {};
      if (openPrompt?.promptId !== event.promptId) {
        const rest = joining.filter(({ promptId }) => promptId !== event.promptId);
        state.update({ joining: rest, ...interrupted });
        return undefined;
      }
      // As the agent does it: what came too late to join has the next turn, before what waits for one.
      const left = joining.filter(({ taken, withdrawn }) => !taken && !withdrawn);
      const withdrawn = joining.filter((each) => !each.taken && each.withdrawn);
      const promoted = left[0];
      const [next, ...later] = state.value.nextPrompts;
      state.update({
        openPrompt: promoted ?? next ?? null,
        joining: [...withdrawn, ...left.slice(1)],
        nextPrompts: promoted === undefined ? later : state.value.nextPrompts,
        ...interrupted,
      });
      return promoted === undefined ? next : undefined;
    },
  };
}

function withOneMore({ interrupted }: GuestState, promptId: string): Pick<GuestState, "interrupted"> {
  const others = Object.entries(interrupted).filter(([id]) => id !== promptId);
  const kept = [...others, [promptId, (interrupted[promptId] ?? 0) + 1] as const].slice(-maxInterrupted);
  return { interrupted: Object.fromEntries(kept) };
}
