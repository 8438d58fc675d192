import { messageOf } from "../../domain/errors.ts";
import type { GuestEvent } from "../../domain/event.ts";
import { neverRan } from "../kept-prompts.ts";
import { cutWithNote } from "../text.ts";
import type { AgentPrompt } from "./agent.ts";
import type { CodexTurn } from "./codex-messages.ts";
import type { PlanVerdict } from "./codex-questions.ts";

/**
 * Which prompt a turn belongs to. A prompt's turn is one of Codex's, or several where a plan is talked over. Codex tells
 * by our own name for a message when it has taken it, and keeps that name in the conversation.
 */
export interface CodexTurns {
  opened(prompt: AgentPrompt): void;
  joined(prompt: AgentPrompt): void;
  began(turnId: string): void;
  took(key: string): void;
  used(tokens: { inputTokens: number; outputTokens: number }): void;
  said(text: string): void;
  planned(plan: string): void;
  over(turn: CodexTurn): void;
  interrupt(): void;
  /** Of this conversation's turns now. */
  readonly turnId: string | undefined;
}

export interface CodexTurnsOptions {
  lastPromptId: string | null;
  say: (events: GuestEvent[]) => void;
  /** Begins a turn of Codex; rejects where it does not take it. */
  start: (input: TurnInput) => Promise<void>;
  /** Rejects where no such turn runs. */
  steer: (turnId: string, prompt: AgentPrompt) => Promise<void>;
  stop: (turnId: string) => void;
  /** The last turn of a prompt that an earlier process was given under this key; undefined for one not given. */
  earlier: (key: string) => Promise<CodexTurn | undefined>;
  isPlanning: () => boolean;
  propose: (plan: string, decided: (verdict: PlanVerdict) => void) => void;
  /** The person has approved the plan. */
  approved: () => void;
}

export type TurnInput =
  | { kind: "prompt"; prompt: AgentPrompt }
  | { kind: "words"; key: string; text: string };

interface Running {
  promptId: string;
  key: string;
  turnId: string | undefined;
  announced: boolean;
  /** An interruption came before Codex had begun. */
  stopAtStart: boolean;
  lastWords: string;
  plan: string | undefined;
  /** The plan is with a person. */
  deciding: boolean;
  usage: { inputTokens: number; outputTokens: number };
}

export function createCodexTurns(options: CodexTurnsOptions): CodexTurns {
  const { say } = options;
  let running: Running | null = null;
  let last = options.lastPromptId;
  /** To be told within the turn that runs, and those of them that Codex has been given and has not taken yet. */
  let joining: AgentPrompt[] = [];
  const given = new Map<string, AgentPrompt>();
  let words = 0;

  const run = (promptId: string, key: string): Running => ({
    ...{ promptId, key, turnId: undefined, announced: false, stopAtStart: false, deciding: false },
    ...{ lastWords: "", plan: undefined, usage: { inputTokens: 0, outputTokens: 0 } },
  });

  const announce = (now: Running) => {
    if (!now.announced) say([{ kind: "turn_started", promptId: now.promptId }]);
    now.announced = true;
  };

  const close = (now: Running, outcome: "done" | "error" | "interrupted", text: string) => {
    running = null;
    last = now.promptId;
    const late = [...given.values(), ...joining];
    given.clear();
    joining = [];
    const never = outcome === "interrupted" ? late.splice(0) : [];
    say([
      ...never.map(({ promptId }) => neverRan(promptId)),
      { kind: "turn_ended", promptId: now.promptId, outcome, text: cutWithNote(text), usage: now.usage },
    ]);
    // What came too late for a turn has the next one.
    const [next, ...rest] = late;
    joining = rest;
    if (next !== undefined) open(next);
  };

  const begin = async (now: Running, input: TurnInput) => {
    try {
      await options.start(input);
    } catch (thrown) {
      if (running !== now) return;
      announce(now);
      close(now, "error", `Codex did not begin the turn: ${messageOf(thrown)}`);
    }
  };

  const open = (prompt: AgentPrompt) => {
    const now = run(prompt.promptId, prompt.key);
    running = now;
    void (async () => {
      const before = await options.earlier(prompt.key).catch(() => undefined);
      if (running !== now) return;
      if (before === undefined) return begin(now, { kind: "prompt", prompt });
      if (before.status === "completed") {
        announce(now);
        const plan = before.items.findLast((item) => item.type === "plan");
        if (plan !== undefined && options.isPlanning()) return ask(now, plan.text);
        const text = "The agent had answered this prompt before it was started again.";
        say([{ kind: "notice", level: "info", text }]);
        return close(now, "done", "");
      }
      return begin(now, wordsOf(now, "Continue from where you left off."));
    })();
  };

  const wordsOf = (now: Running, text: string): TurnInput => ({
    kind: "words",
    key: `${now.key} +${++words} ${crypto.randomUUID()}`,
    text,
  });

  const giveAll = (turnId: string) => {
    for (const prompt of joining.splice(0)) {
      given.set(prompt.key, prompt);
      options.steer(turnId, prompt).catch(() => {
        // The turn has ended meanwhile: where that was told already, this one has the next.
        if (!given.delete(prompt.key)) return;
        joining.push(prompt);
        if (running === null) open(...take());
      });
    }
  };
  const take = (): [AgentPrompt] => {
    const [first, ...rest] = joining;
    if (first === undefined) throw new Error("nothing waits");
    joining = rest;
    return [first];
  };

  const ask = (now: Running, plan: string) => {
    now.deciding = true;
    options.propose(plan, decided(now));
  };

  const decided = (now: Running) => (verdict: PlanVerdict) => {
    if (running !== now) return;
    now.deciding = false;
    if (verdict.kind === "act") {
      options.approved();
      void begin(now, wordsOf(now, "The plan is approved. Carry it out."));
    } else void begin(now, wordsOf(now, verdict.message));
  };

  return {
    opened: open,
    joined(prompt) {
      joining.push(prompt);
      if (running === null) open(...take());
      else if (running.turnId !== undefined) giveAll(running.turnId);
    },
    began(turnId) {
      if (running === null) {
        // One that Codex began by itself.
        if (last === null) return;
        running = run(last, "");
      }
      running.turnId = turnId;
      announce(running);
      if (running.stopAtStart) options.stop(turnId);
      else giveAll(turnId);
    },
    took(key) {
      const prompt = given.get(key);
      if (prompt === undefined) return;
      given.delete(key);
      say([{ kind: "prompt_taken", promptId: prompt.promptId }]);
    },
    used({ inputTokens, outputTokens }) {
      if (running === null) return;
      running.usage.inputTokens += inputTokens;
      running.usage.outputTokens += outputTokens;
    },
    said(text) {
      if (running !== null) running.lastWords = text;
    },
    planned(plan) {
      if (running !== null) running.plan = plan;
    },
    over(turn) {
      const now = running;
      if (now === null || now.turnId !== turn.id) return;
      now.turnId = undefined;
      if (turn.status === "interrupted") return close(now, "interrupted", "");
      if (turn.status === "failed") return close(now, "error", turn.error?.message ?? "The turn failed.");
      const { plan } = now;
      now.plan = undefined;
      if (plan === undefined || !options.isPlanning()) return close(now, "done", now.lastWords);
      ask(now, plan);
    },
    interrupt() {
      say(joining.splice(0).map(({ promptId }) => neverRan(promptId)));
      const now = running;
      if (now === null) return;
      if (now.turnId !== undefined) options.stop(now.turnId);
      else if (now.deciding) close(now, "interrupted", "");
      else now.stopAtStart = true;
    },
    get turnId() {
      return running?.turnId;
    },
  };
}
