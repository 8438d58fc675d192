import type { TaskEventBody } from "./event.ts";
import type { Json } from "./json.ts";
import type { SearchKind } from "./search.ts";

/** Of one event; what is longer is found by its beginning and its end. */
const maxSearchText = 16 * 1024;

/** The kinds of events that have something to be found. `state` stands for the task's title. */
export const searchedEvents = [
  "state",
  "prompt",
  "prompt_edited",
  "assistant_text",
  "tool_use",
  "tool_result",
  "pull_request_opened",
  "turn_ended",
  "finished",
] as const satisfies readonly TaskEventBody["kind"][];

/** What can be found of an event, bounded; undefined where there is nothing. */
export function searchTextOf(body: TaskEventBody): { kind: SearchKind; text: string } | undefined {
  const found = textOf(body);
  if (found === undefined || !/[\p{L}\p{N}\p{Co}]/u.test(found.text)) return undefined;
  return { kind: found.kind, text: bounded(found.text) };
}

function textOf(body: TaskEventBody): { kind: SearchKind; text: string } | undefined {
  switch (body.kind) {
    case "prompt":
    case "prompt_edited":
      return { kind: "prompt", text: body.text };
    case "assistant_text":
      return { kind: "agent", text: body.text };
    case "tool_use":
      return { kind: "tool", text: `${body.name} ${wordsIn(body.input)}` };
    case "tool_result":
      return { kind: "output", text: body.text };
    case "pull_request_opened":
      return { kind: "pull_request", text: `${body.repository} ${body.title}` };
    case "turn_ended":
      // What the agent said last stands in its own words already.
      return body.outcome === "error" ? { kind: "result", text: body.text } : undefined;
    case "finished":
      return { kind: "result", text: `${body.text} ${body.hint}` };
    default:
      return undefined;
  }
}

function bounded(text: string): string {
  if (text.length <= maxSearchText) return text;
  const end = maxSearchText / 4;
  return `${text.slice(0, maxSearchText - end)}\n…\n${text.slice(-end)}`.toWellFormed();
}

/** All the text in a tool's input, without the names of its fields. */
function wordsIn(input: Json): string {
  const words: string[] = [];
  let left = 4 * maxSearchText;
  const walk = (value: Json): void => {
    if (left <= 0) return;
    if (typeof value === "string") {
      words.push(value);
      left -= value.length + 1;
    } else if (Array.isArray(value)) for (const item of value) walk(item);
    else if (typeof value === "object" && value !== null) for (const item of Object.values(value)) walk(item);
  };
  walk(input);
  return words.join(" ");
}
