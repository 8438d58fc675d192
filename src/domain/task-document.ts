import type { TaskEventBody } from "./event.ts";
import type { Json } from "./json.ts";
import { plainLine, plainText } from "./plain-text.ts";
import type { TextLine } from "./text-line.ts";
import { createTranscriptText } from "./transcript-text.ts";

/** A task to be read by people, away from the appliance; each format has its own way to write the parts. */
export interface DocumentHead {
  title: string;
  facts: readonly (readonly [string, string])[];
}

export type DocumentPart =
  | { kind: "prompt"; at: number; person: string; text: string }
  /** The agent's words. */
  | { kind: "text"; text: string }
  | { kind: "thinking"; text: string }
  | { kind: "tool"; name: string; input: string }
  | { kind: "output"; text: string; isError: boolean; omitted: number }
  | { kind: "line"; tone: TextLine["tone"]; text: string }
  | { kind: "diff"; repository: string; text: string; truncated: boolean };

/** Each of these is text that may be written out at once; together they are the document. */
export interface DocumentFormat {
  begin(head: DocumentHead): string;
  part(part: DocumentPart): string;
  end(): string;
}

export interface DocumentParts {
  add(at: number, body: TaskEventBody): DocumentPart[];
  /** What the agent had begun to say when the transcript ends. */
  rest(): DocumentPart[];
}

/** The parts of a transcript, event by event. Their text holds no control characters, and is hostile still. */
export function createDocumentParts(): DocumentParts {
  const lines = createTranscriptText();
  const asLines = (found: readonly TextLine[]) =>
    found
      .filter(({ text }) => text.trim() !== "")
      .map(({ tone, text }): DocumentPart => ({ kind: "line", tone, text }));
  return {
    add(at, body) {
      switch (body.kind) {
        case "prompt":
          return [{ kind: "prompt", at, person: plainLine(body.person), text: plainText(body.text) }];
        case "assistant_text":
          lines.add(body);
          return body.text.trim() === "" ? [] : [{ kind: "text", text: plainText(body.text) }];
        case "thinking":
          return body.text.trim() === "" ? [] : [{ kind: "thinking", text: plainText(body.text) }];
        case "tool_use":
          return [{ kind: "tool", name: plainLine(body.name), input: plainText(inputText(body.input)) }];
        case "tool_result": {
          const { isError, omitted } = body;
          return [{ kind: "output", isError, omitted, text: plainText(body.text).replace(/\s+$/, "") }];
        }
        default:
          return asLines(lines.add(body));
      }
    },
    rest: () => asLines(lines.pending()),
  };
}

/** One field a line; long texts as they are, so that code reads as code. */
function inputText(input: Json): string {
  if (typeof input !== "object" || input === null || Array.isArray(input))
    return JSON.stringify(input, null, 2);
  return Object.entries(input)
    .map(([name, value]) =>
      typeof value === "string"
        ? `${name}: ${value.includes("\n") ? `\n${value}` : value}`
        : `${name}: ${JSON.stringify(value, null, 2)}`,
    )
    .join("\n");
}
