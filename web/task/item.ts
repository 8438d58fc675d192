import type { Json } from "../../src/domain/json.ts";

/** One part of a transcript, as people read it. An item is replaced, never changed. */
export type Item = PromptItem | BlockItem | ToolItem | StepItem | QuestionItem | LineItem | RawItem;

interface Placed {
  key: string;
  /** Milliseconds since the epoch. */
  at: number;
}
export interface PromptItem extends Placed {
  kind: "prompt";
  promptId: string;
  person: string;
  text: string;
}
interface BlockItem extends Placed {
  kind: "text" | "thinking";
  text: string;
  /** Whether more of it may come. */
  open: boolean;
}
export interface ToolItem extends Placed {
  kind: "tool";
  name: string;
  input: Json;
  result: { isError: boolean; text: string; omitted: number } | undefined;
}
export interface StepItem extends Placed {
  kind: "step";
  step: string;
  detail: string;
  output: string;
  /** How long it took; undefined while it runs. */
  ms: number | undefined;
}
export interface QuestionItem extends Placed {
  kind: "question";
  requestId: string;
  tool: string;
  input: Json;
  outcome: { kind: "open" } | { kind: "closed" } | { kind: "answered"; person: string; answer: Json };
}
export interface LineItem extends Placed {
  kind: "line";
  tone: "quiet" | "good" | "warning" | "error";
  text: string;
  detail: string;
}
export interface RawItem extends Placed {
  kind: "raw";
  raw: Json;
}
