import { authorityText, reasonInWords, scopeInWords } from "../../src/domain/access-words.ts";
import type { TaskEvent } from "../../src/domain/event.ts";
import { pullRequestInWords } from "../../src/domain/pull-request-words.ts";
import { pauseText, steeringInWords } from "../../src/domain/steering-words.ts";
import type { Item, LineItem, PromptItem, QuestionItem, StepItem } from "./item.ts";

/**
 * A task's events as people read them: deltas merged into their block, a tool's result beside its call, a step's
 * output under the step. Built event by event, so that the page and a test see the same thing.
 */
export interface Transcript {
  /** The cursor: the last event that is in here. */
  seq: number;
  items: readonly Item[];
  /** Prompts that the agent has not taken yet, in order. */
  waiting: readonly PromptItem[];
  /** Pushes so far: at each the diff is another. */
  pushes: number;
  /** Requests for access, and decisions on them, so far. */
  accessSteps: number;
  /** What happened to pull requests so far. */
  pullRequestSteps: number;
  /** Turns that were saved so far. */
  saved: number;
  savedPrompt: string;
  /** Where an item stands, by its key. */
  index: ReadonlyMap<string, number>;
  /** False while only the end of a long transcript has come. */
  complete: boolean;
}

export const emptyTranscript: Transcript = {
  seq: 0,
  items: [],
  waiting: [],
  pushes: 0,
  accessSteps: 0,
  pullRequestSteps: 0,
  saved: 0,
  savedPrompt: "",
  index: new Map(),
  complete: true,
};

/** The most that is kept of one step's output: its end. */
const maxStepOutput = 256 * 1024;

/** The transcript with these events added. Events at or below its cursor are there already and are skipped. */
export function extend(transcript: Transcript, events: readonly TaskEvent[]): Transcript {
  const next = {
    seq: transcript.seq,
    items: [...transcript.items],
    waiting: [...transcript.waiting],
    pushes: transcript.pushes,
    accessSteps: transcript.accessSteps,
    pullRequestSteps: transcript.pullRequestSteps,
    saved: transcript.saved,
    savedPrompt: transcript.savedPrompt,
    index: new Map(transcript.index),
    complete: transcript.complete,
  };
  for (const event of events) {
    if (event.seq <= next.seq) continue;
    next.seq = event.seq;
    add(next, event);
  }
  return next;
}

interface Draft {
  items: Item[];
  waiting: PromptItem[];
  pushes: number;
  accessSteps: number;
  pullRequestSteps: number;
  saved: number;
  savedPrompt: string;
  index: Map<string, number>;
}

function add(draft: Draft, { seq, at, body }: TaskEvent): void {
  const line = (tone: LineItem["tone"], text: string, detail = "") =>
    put(draft, { kind: "line", key: `line:${seq}`, at, tone, text, detail });

  switch (body.kind) {
    case "prompt": {
      const { promptId, person, text } = body;
      const item: PromptItem = { kind: "prompt", key: `prompt:${promptId}`, at, promptId, person, text };
      // The first one is what the task is about; it stands at the top whether or not it was taken yet.
      if (draft.items.some(({ kind }) => kind === "prompt")) draft.waiting.push(item);
      else put(draft, item);
      return;
    }
    case "turn_started":
    case "prompt_taken": {
      const taken = takeWaiting(draft, body.promptId);
      if (taken !== undefined) put(draft, { ...taken, at });
      return;
    }
    case "prompt_removed":
      if (takeWaiting(draft, body.promptId) !== undefined) line("quiet", steeringInWords(body));
      return;
    case "prompt_edited": {
      const { promptId, text } = body;
      draft.waiting = draft.waiting.map((item) => (item.promptId === promptId ? { ...item, text } : item));
      const first = itemAt(draft, `prompt:${promptId}`);
      if (first?.kind === "prompt") put(draft, { ...first, text });
      line("quiet", steeringInWords(body));
      return;
    }
    case "prompt_moved":
    case "prompt_sent_now":
    case "resume_requested":
    case "model_changed":
    case "mode_changed":
    case "sandbox_asleep":
    case "sandbox_removed":
    case "cancel_requested":
    case "interrupt_requested":
      line("quiet", steeringInWords(body));
      return;
    case "teleported":
      line("quiet", `${body.person} took the task along to go on with on another machine`);
      return;
    case "handed_over":
      line("quiet", `${body.person} handed a conversation over, with its files`, body.repository);
      return;
    case "forked":
      line(
        "quiet",
        `${body.person} forked it from another task, as that was after turn ${body.turn}`,
        body.taskId,
      );
      return;
    case "rolled_back":
      line("warning", steeringInWords(body));
      return;
    case "rolled_back_push":
      if (body.taken)
        line("quiet", `${body.branch} was put back`, `${body.repository} at ${body.commit.slice(0, 10)}`);
      return;
    case "pause_requested":
      line("warning", pauseText(body), body.hint);
      return;
    case "snapshot":
      // Once more when the turn's work was committed: it is the same turn.
      if (draft.savedPrompt === body.promptId) return;
      draft.savedPrompt = body.promptId;
      draft.saved += 1;
      line("quiet", `Turn ${draft.saved} saved`);
      return;
    case "assistant_delta": {
      const key = `text:${body.blockId}`;
      const before = itemAt(draft, key);
      if (before?.kind !== "text") put(draft, { kind: "text", key, at, text: body.text, open: true });
      else if (before.open) put(draft, { ...before, text: before.text + body.text });
      return;
    }
    case "assistant_text":
      put(draft, { kind: "text", key: `text:${body.blockId}`, at, text: body.text, open: false });
      return;
    case "thinking":
      put(draft, { kind: "thinking", key: `thinking:${body.blockId}`, at, text: body.text, open: false });
      return;
    case "tool_use": {
      const { name, input } = body;
      put(draft, { kind: "tool", key: `tool:${body.toolUseId}`, at, name, input, result: undefined });
      return;
    }
    case "tool_result": {
      const { isError, text, omitted } = body;
      const key = `tool:${body.toolUseId}`;
      const call = itemAt(draft, key);
      const known =
        call?.kind === "tool" ? call : ({ kind: "tool", key, at, name: "Result", input: null } as const);
      put(draft, { ...known, result: { isError, text, omitted } });
      return;
    }
    case "step_started": {
      const { step, detail } = body;
      put(draft, { kind: "step", key: `step:${seq}`, at, step, detail, output: "", ms: undefined });
      return;
    }
    case "step_output":
    case "step_done": {
      const step = draft.items.findLast(
        (item): item is StepItem => item.kind === "step" && item.step === body.step,
      ) ?? { kind: "step", key: `step:${seq}`, at, step: body.step, detail: "", output: "", ms: undefined };
      put(
        draft,
        body.kind === "step_done"
          ? { ...step, ms: body.ms }
          : { ...step, output: (step.output + body.text).slice(-maxStepOutput) },
      );
      return;
    }
    case "question": {
      const { requestId, tool, input } = body;
      const outcome = { kind: "open" } as const;
      put(draft, { kind: "question", key: `question:${requestId}`, at, requestId, tool, input, outcome });
      return;
    }
    case "question_closed":
      settle(draft, body.requestId, { kind: "closed" });
      return;
    case "answered":
      settle(draft, body.requestId, { kind: "answered", person: body.person, answer: body.answer });
      return;
    case "turn_ended":
      if (body.outcome === "error") line("error", "The turn ended with an error", body.text);
      if (body.outcome === "interrupted") line("warning", "The turn was interrupted");
      return;
    case "notice":
    case "appliance_notice":
      line(body.level === "info" ? "quiet" : body.level, body.text);
      return;
    case "unknown":
      put(draft, { kind: "raw", key: `raw:${seq}`, at, raw: body.raw });
      return;
    case "pushed":
      draft.pushes += 1;
      line("good", `Pushed ${body.commit.slice(0, 10)} to ${body.branch}`, body.repository);
      return;
    case "kept_pushed":
      if (body.own) draft.pushes += 1;
      line(
        "good",
        `${body.person} had the kept work pushed to ${body.branch}`,
        `${body.repository} at ${body.commit.slice(0, 10)}`,
      );
      return;
    case "finished":
      if (body.outcome !== "completed")
        line(body.outcome === "failed" ? "error" : "warning", body.text, body.hint);
      return;
    case "state":
      // Why it failed stands in the summary below the transcript.
      line(body.state === "failed" ? "error" : "quiet", stateLines[body.state] ?? body.state);
      return;
    case "limit_reached":
      line("error", body.reason, body.hint);
      return;
    case "sandbox_started":
      // What an earlier sandbox asked died with it.
      for (const item of draft.items)
        if (item.kind === "question" && item.outcome.kind === "open")
          settle(draft, item.requestId, { kind: "closed" });
      line("quiet", `Sandbox started (${body.engine})`, body.image);
      return;
    case "sandbox_died":
      line("error", `The sandbox ${body.reason}`);
      return;
    case "push_refused":
      line("warning", `Push of ${body.ref} to ${body.repository} was refused`, body.reason);
      return;
    case "egress_refused":
      line("warning", `Connection to ${body.target} was refused`, body.reason);
      return;
    case "pull_request_opened":
    case "pull_request_updated":
    case "pull_request_merged":
    case "pull_request_closed":
      draft.pullRequestSteps += 1;
      line(body.kind === "pull_request_closed" ? "warning" : "good", pullRequestInWords(body));
      return;
    case "access_requested":
      draft.accessSteps += 1;
      line("warning", `The sandbox asks for ${authorityText(body)}`, reasonInWords(body.reason));
      return;
    case "access_granted":
      draft.accessSteps += 1;
      line("quiet", `${body.person} allowed ${authorityText(body)} ${scopeInWords[body.scope]}`);
      return;
    case "access_denied":
      draft.accessSteps += 1;
      line("quiet", `${body.person} denied ${authorityText(body)}`);
      return;
    case "access_expired":
      draft.accessSteps += 1;
      line("quiet", `Nobody decided on ${authorityText(body)} before the task ended`);
      return;
  }
}

const stateLines: Record<string, string> = {
  queued: "Queued",
  starting: "Starting a sandbox",
  running: "Running",
  waiting: "Waiting for an answer",
  finishing: "Committing and pushing",
  idle: "Idle",
  paused: "Paused",
  completed: "Completed",
  failed: "Failed",
  cancelled: "Stopped",
};

function put(draft: Draft, item: Item): void {
  const place = draft.index.get(item.key);
  if (place === undefined) draft.index.set(item.key, draft.items.push(item) - 1);
  else draft.items[place] = item;
}

function itemAt(draft: Draft, key: string): Item | undefined {
  return draft.items[draft.index.get(key) ?? -1];
}

function takeWaiting(draft: Draft, promptId: string): PromptItem | undefined {
  const place = draft.waiting.findIndex((item) => item.promptId === promptId);
  return place === -1 ? undefined : draft.waiting.splice(place, 1)[0];
}

function settle(draft: Draft, requestId: string, outcome: QuestionItem["outcome"]): void {
  const question = itemAt(draft, `question:${requestId}`);
  if (question?.kind === "question" && question.outcome.kind !== "answered")
    put(draft, { ...question, outcome });
}
