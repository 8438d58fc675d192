import { authorityText } from "./access-words.ts";
import type { TaskEventBody } from "./event.ts";
import type { Json } from "./json.ts";
import { plainLine, plainText } from "./plain-text.ts";
import { pullRequestInWords } from "./pull-request-words.ts";
import { questionLines, record, toolCall } from "./question-text.ts";
import { steeringInWords } from "./steering-words.ts";
import { cut, type TextLine, type Tone } from "./text-line.ts";

export interface TranscriptText {
  /** The lines that an event adds, safe for a terminal; none for most deltas. */
  add(body: TaskEventBody): TextLine[];
  /** What the agent is writing at this moment: it gives way to the whole block. */
  pending(): TextLine[];
}

/** An agent writes one block at a time; whoever begins more without an end is not to fill our memory. */
const maxUnfinished = 16;
const maxUnfinishedText = 64 * 1024;

/** A task's events as lines that people read: one for the command line and the terminal view alike. */
export function createTranscriptText({ outputLines = 10 }: { outputLines?: number } = {}): TranscriptText {
  /** Blocks of which only deltas have come. */
  const unfinished = new Map<string, string>();

  function giveUpOldest(): TextLine[] {
    const [oldest] = unfinished;
    if (oldest === undefined) return [];
    unfinished.delete(oldest[0]);
    return paragraph(oldest[1]);
  }

  const blocks = () => [...unfinished.values()].flatMap((text) => paragraph(text));

  return {
    pending: blocks,
    add(body) {
      switch (body.kind) {
        case "assistant_delta": {
          const before = unfinished.get(body.blockId) ?? "";
          if (before.length < maxUnfinishedText) unfinished.set(body.blockId, before + body.text);
          return unfinished.size > maxUnfinished ? giveUpOldest() : [];
        }
        case "assistant_text":
          unfinished.delete(body.blockId);
          return paragraph(body.text);
        case "turn_ended":
        case "sandbox_died": {
          // A turn that was cut off leaves deltas without their block; they are all that is left of it.
          const rest = blocks();
          unfinished.clear();
          return [...rest, ...linesOf(body, outputLines)];
        }
        default:
          return linesOf(body, outputLines);
      }
    },
  };
}

const stepNames = { clone: "Clone", setup: "Set-up", agent: "Agent", push: "Push" } as const;

function linesOf(body: TaskEventBody, outputLines: number): TextLine[] {
  switch (body.kind) {
    case "state":
      return stateLines(body.state, body.detail);
    case "prompt":
      return [
        { tone: "plain", text: "" },
        ...block(body.text, "strong", "> ", `  `, body.person),
        ...(body.attachments ?? []).map((name) => ({ tone: "dim" as const, text: `  [${plainLine(name)}]` })),
      ];
    case "prompt_edited":
      return [line("dim", `${steeringInWords(body)}:`), ...block(body.text, "strong", "> ", "  ")];
    case "prompt_removed":
    case "prompt_moved":
    case "prompt_sent_now":
    case "model_changed":
    case "mode_changed":
      return [line("dim", `${steeringInWords(body)}.`)];
    case "resume_requested":
    case "rolled_back":
      return [line("strong", `${steeringInWords(body)}.`)];
    case "rolled_back_push":
      return body.taken
        ? [line("dim", `· ${body.branch} of ${body.repository} was put back to ${body.commit.slice(0, 10)}.`)]
        : [];
    case "prompt_taken":
      return [line("dim", "· The agent has read the prompt that was sent at once.")];
    case "sandbox_asleep":
    case "sandbox_removed":
      return [line("dim", `· ${steeringInWords(body)}.`)];
    case "snapshot":
      return [line("dim", `· Turn saved in ${seconds(body.ms)}`)];
    case "pause_requested":
      // The state that follows says why.
      return body.until === undefined
        ? []
        : [line("dim", `· It goes on by itself at ${new Date(body.until).toISOString().slice(0, 16)}Z.`)];
    case "step_started":
      return [line("dim", `· ${stepNames[body.step]}${body.detail === "" ? "" : `: ${body.detail}`}`)];
    case "step_output":
      return body.step === "agent" ? [] : output(body.text, "dim", outputLines, 0);
    case "step_done":
      return [line("dim", `· ${stepNames[body.step]} done in ${seconds(body.ms)}`)];
    case "turn_started":
    case "question_closed":
    case "assistant_delta":
    case "assistant_text":
      return [];
    case "thinking":
      return body.text.trim() === "" ? [] : block(cutLines(body.text, 4), "dim", "~ ", "  ");
    case "tool_use":
      // The question itself follows, in words.
      if (body.name === "AskUserQuestion") return [];
      return [
        { tone: "plain", text: "" },
        { tone: "tool", text: `* ${toolCall(body.name, body.input)}` },
      ];
    case "tool_result":
      return output(body.text, body.isError ? "bad" : "dim", outputLines, body.omitted);
    case "question":
      return questionLines(body.tool, body.input);
    case "answered":
      return [line("strong", `${body.person} answered: ${answerText(body.answer)}`)];
    case "turn_ended":
      return turnEnd(body);
    case "notice":
    case "appliance_notice":
      return block(
        body.text,
        body.level === "error" ? "bad" : body.level === "warning" ? "warning" : "dim",
        "! ",
        "  ",
      );
    case "unknown":
      return [
        line(
          "dim",
          `(a message of the agent that is not known here) ${cut(JSON.stringify(body.raw) ?? "", 300)}`,
        ),
      ];
    case "pushed":
      return [line("good", `Pushed ${body.branch} to ${body.repository} at ${body.commit.slice(0, 10)}.`)];
    case "kept_pushed":
      return [
        line(
          "good",
          `${body.person} had the kept work pushed: ${body.branch} of ${body.repository} is at ${body.commit.slice(0, 10)} now.`,
        ),
      ];
    case "finished":
      // A completed task says the same in its state.
      return body.outcome === "completed" ? [] : [line("bad", `${body.text} ${body.hint}`)];
    case "teleported":
      return [line("dim", `${body.person} took the task along to go on with on another machine.`)];
    case "handed_over":
      return [
        line("dim", `${body.person} handed the conversation over, with its files in ${body.repository}.`),
      ];
    case "forked":
      return [
        line("dim", `${body.person} forked it from ${body.taskId}, as that was after turn ${body.turn}.`),
      ];
    case "cancel_requested":
    case "interrupt_requested":
      return [line("warning", `${steeringInWords(body)}.`)];
    case "limit_reached":
      return [line("bad", `${body.reason} ${body.hint}`)];
    case "sandbox_started":
      return [line("dim", `· Sandbox of ${body.image} on ${body.engine}`)];
    case "sandbox_died":
      return [line("bad", `The sandbox ended: ${body.reason}.`)];
    case "push_refused":
      return [line("bad", `A push of ${body.ref} to ${body.repository} was refused: ${body.reason}`)];
    case "egress_refused":
      return [line("warning", `A connection to ${body.target} was refused: ${body.reason}`)];
    case "pull_request_opened":
    case "pull_request_updated":
    case "pull_request_merged":
    case "pull_request_closed":
      return [line(body.kind === "pull_request_closed" ? "warning" : "good", `${pullRequestInWords(body)}.`)];
    case "access_requested":
      return [
        line(
          "warning",
          `The sandbox wants to reach ${authorityText(body)}, which was refused (${body.reason}). To decide: ccw-server egress allow ${body.requestId}, or deny ${body.requestId}.`,
        ),
      ];
    case "access_granted":
      return [line("good", `${body.person} allowed ${authorityText(body)} ${grantWords[body.scope]}.`)];
    case "access_denied":
      return [line("warning", `${body.person} denied ${authorityText(body)} for this task.`)];
    case "access_expired":
      return [line("dim", `· Nobody decided on ${authorityText(body)} before the task ended.`)];
  }
}

const grantWords = {
  once: "for one connection",
  task: "for this task",
  environment: "for the environment, and so for every task in it",
} as const;

function stateLines(state: string, detail: string): TextLine[] {
  const words = detail === "" ? "" : `: ${detail}`;
  switch (state) {
    case "completed":
      return [{ tone: "plain", text: "" }, ...block(`Completed${words}`, "good", "= ", "  ")];
    case "idle":
      return [{ tone: "plain", text: "" }, ...block(`Idle${words}`, "good", "= ", "  ")];
    case "paused":
      return [{ tone: "plain", text: "" }, ...block(`Paused${words}`, "warning", "= ", "  ")];
    case "failed":
      return [{ tone: "plain", text: "" }, ...block(`Failed${words}`, "bad", "= ", "  ")];
    case "cancelled":
      return [{ tone: "plain", text: "" }, ...block(`Cancelled${words}`, "warning", "= ", "  ")];
    default:
      return [line("dim", `· ${state}${words}`)];
  }
}

function turnEnd(body: Extract<TaskEventBody, { kind: "turn_ended" }>): TextLine[] {
  const { inputTokens, outputTokens } = body.usage;
  const used = `${inputTokens.toLocaleString("en")} tokens in, ${outputTokens.toLocaleString("en")} out`;
  switch (body.outcome) {
    case "done":
      return [line("dim", `· Turn done: ${used}`)];
    case "interrupted":
      return [line("warning", `· Turn interrupted: ${used}`)];
    case "error":
      return [...block(body.text, "bad", "! ", "  "), line("dim", `· Turn failed: ${used}`)];
  }
}

function answerText(answer: Json): string {
  const { behavior, message, updatedInput } = record(answer);
  if (behavior === "deny") return `no${typeof message === "string" && message !== "" ? ` (${message})` : ""}`;
  const answers = Object.values(record(record(updatedInput)["answers"])).filter(
    (value) => typeof value === "string",
  );
  return answers.length === 0 ? "yes" : answers.join("; ");
}

function line(tone: Tone, text: string): TextLine {
  return { tone, text: plainLine(text) };
}

/** The agent's own words, set off by an empty line. */
function paragraph(text: string): TextLine[] {
  return text.trim() === ""
    ? []
    : [
        { tone: "plain", text: "" },
        ...lines(text.trim()).map((part) => ({ tone: "plain" as const, text: part })),
      ];
}

function block(text: string, tone: Tone, first: string, rest: string, speaker?: string): TextLine[] {
  const all = lines(text.trim());
  const head = speaker === undefined ? [] : [{ tone, text: `${first}${plainLine(speaker)}` }];
  return [
    ...head,
    ...all.map((part, index) => ({
      tone,
      text: `${index === 0 && head.length === 0 ? first : rest}${part}`,
    })),
  ];
}

/** A tool's output: its first lines, and how many more there were. */
function output(text: string, tone: Tone, limit: number, omitted: number): TextLine[] {
  const all = lines(text.replace(/\s+$/, ""));
  const shown = all.slice(0, limit).map((part) => ({ tone, text: `  | ${cut(part, 500)}` }));
  const left = [
    ...(all.length > limit ? [`${(all.length - limit).toLocaleString("en")} more lines`] : []),
    ...(omitted > 0 ? [`${omitted.toLocaleString("en")} characters left out`] : []),
  ];
  if (all.length === 1 && all[0] === "" && left.length === 0) return [];
  return left.length === 0 ? shown : [...shown, { tone: "dim", text: `  | … ${left.join(", ")}` }];
}

function lines(text: string): string[] {
  return plainText(text).split("\n");
}

function cutLines(text: string, limit: number): string {
  const all = text.trim().split("\n");
  return all.length <= limit ? text : `${all.slice(0, limit).join("\n")}\n…`;
}

function seconds(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
