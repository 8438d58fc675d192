import { messageOf } from "../../domain/errors.ts";
import type { GuestEvent } from "../../domain/event.ts";
import { neverRan } from "../kept-prompts.ts";
import { cutWithNote } from "../text.ts";
import type { AcpPromptAnswer } from "./acp-messages.ts";
import { type AgentPrompt, goOn } from "./agent.ts";
import { isCutOff, maxCuts, toldToGoOn } from "./claude-cut-off.ts";

/** One prompt, one turn: what is to be told in the middle of one has the next, since the protocol knows no other way. */
export interface AcpTurns {
  opened(prompt: AgentPrompt): void;
  joined(prompt: AgentPrompt): void;
  /** More to say to the agent before the turn counts as over. */
  alsoSay(words: string): void;
  interrupt(): void;
  /** Ends the turn that runs as one that has failed, for the reason in words. */
  fail(why: string): void;
  readonly isRunning: boolean;
}

export type AcpInput = { kind: "prompt"; prompt: AgentPrompt } | { kind: "words"; text: string };

export interface AcpTurnsOptions {
  title: string;
  say: (events: GuestEvent[]) => void;
  /** What the prompt is given as, with regard to what an earlier process had; rejects where there is no session. */
  inputFor: (prompt: AgentPrompt) => Promise<{ kind: "give"; input: AcpInput } | { kind: "answered" }>;
  /** Resolves at the end of the agent's turn. */
  give: (input: AcpInput, prompt: AgentPrompt) => Promise<AcpPromptAnswer>;
  cancel: () => void;
  /** What is still to be told of the turn, and the agent's last words in it. */
  end: () => { events: GuestEvent[]; lastWords: string };
  /** The agent has not come to an end after it was told to. */
  stuck: () => void;
  /** The process has ended, in the middle of a turn that the next one goes on with. */
  isGone: () => boolean;
}

interface Running {
  prompt: AgentPrompt;
  /** Given to the agent. */
  isGiven: boolean;
  isStopped: boolean;
  /** What it was stopped for, where that was no person's word. */
  failure: string | undefined;
  more: string[];
  usage: { inputTokens: number; outputTokens: number };
}

const stopMs = 30_000;

export function createAcpTurns(options: AcpTurnsOptions): AcpTurns {
  const { say, title } = options;
  let running: Running | undefined;
  let waiting: AgentPrompt[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;

  const close = (now: Running, outcome: "done" | "error" | "interrupted", text: string) => {
    if (running !== now) return;
    running = undefined;
    clearTimeout(timer);
    const { promptId } = now.prompt;
    say([{ kind: "turn_ended", promptId, outcome, text: cutWithNote(text), usage: now.usage }]);
    const [next, ...rest] = waiting;
    waiting = rest;
    if (next !== undefined) open(next);
  };

  const closeStopped = (now: Running) =>
    close(now, now.failure === undefined ? "interrupted" : "error", now.failure ?? "");

  const stop = (now: Running) => {
    now.isStopped = true;
    if (!now.isGiven) return;
    options.cancel();
    timer = setTimeout(() => {
      if (running !== now) return;
      const text = `${title} did not stop within ${stopMs / 1000} s, and was ended.`;
      say([...options.end().events, { kind: "notice", level: "warning", text }]);
      closeStopped(now);
      options.stuck();
    }, stopMs);
  };

  const turn = async (now: Running, first: AcpInput) => {
    let cuts = 0;
    for (let input: AcpInput | undefined = first; input !== undefined; ) {
      const answer = await options.give(input, now.prompt).catch((thrown) => {
        if (now.isStopped || !isCutOff(messageOf(thrown)) || cuts++ >= maxCuts) throw thrown;
        return undefined;
      });
      if (running !== now) return;
      if (answer === undefined) {
        say([...options.end().events, toldToGoOn]);
        input = { kind: "words", text: goOn };
        continue;
      }
      now.usage.inputTokens += inputOf(answer);
      now.usage.outputTokens += answer.usage?.outputTokens ?? 0;
      const { events, lastWords } = options.end();
      say(events);
      const more = now.more.shift();
      if (!now.isStopped && more !== undefined) input = { kind: "words", text: more };
      else return finish(now, answer.stopReason, lastWords);
    }
  };

  const finish = (now: Running, stopReason: string, lastWords: string) => {
    if (now.isStopped || stopReason === "cancelled") return closeStopped(now);
    switch (stopReason) {
      case "end_turn":
        return close(now, "done", lastWords);
      case "max_tokens":
        return close(now, "error", `${title} stopped: the model's answer was longer than it may be.`);
      case "max_turn_requests":
        return close(now, "error", `${title} stopped: it may ask the model no more often in one turn.`);
      case "refusal":
        return close(now, "error", `${title} stopped: the model refused to go on. ${lastWords}`.trim());
      default: {
        const text = `${title} ended its turn for a reason that is not known here: ${stopReason.slice(0, 200)}.`;
        say([{ kind: "notice", level: "warning", text }]);
        return close(now, "done", lastWords);
      }
    }
  };

  const run = async (now: Running) => {
    const started: GuestEvent = { kind: "turn_started", promptId: now.prompt.promptId };
    const given = await options.inputFor(now.prompt);
    if (running !== now) return;
    if (given.kind === "answered") {
      const text = "The agent had answered this prompt before it was started again.";
      say([started, { kind: "notice", level: "info", text }]);
      return close(now, "done", "");
    }
    if (now.isStopped) {
      say([started]);
      return closeStopped(now);
    }
    now.isGiven = true;
    say([started]);
    try {
      await turn(now, given.input);
    } catch (thrown) {
      if (options.isGone()) return;
      say(options.end().events);
      if (now.isStopped) closeStopped(now);
      else close(now, "error", messageOf(thrown));
    }
  };

  const open = (prompt: AgentPrompt) => {
    const now: Running = {
      ...{ prompt, isGiven: false, isStopped: false, failure: undefined, more: [] },
      usage: { inputTokens: 0, outputTokens: 0 },
    };
    running = now;
    // Where there is no session the process ends, which tells why; the prompt stays for the next one.
    run(now).catch(() => {});
  };

  return {
    opened: open,
    joined(prompt) {
      if (running === undefined) open(prompt);
      else waiting.push(prompt);
    },
    alsoSay(words) {
      running?.more.push(words);
    },
    interrupt() {
      say(waiting.splice(0).map(({ promptId }) => neverRan(promptId)));
      if (running !== undefined && !running.isStopped) stop(running);
    },
    fail(why) {
      if (running === undefined || running.isStopped) return;
      running.failure = why;
      stop(running);
    },
    get isRunning() {
      return running !== undefined;
    },
  };
}

/** All that the model has read, from the cache or not. */
const inputOf = ({ usage }: AcpPromptAnswer): number =>
  usage == null ? 0 : usage.inputTokens + usage.cachedReadTokens + usage.cachedWriteTokens;
