/** How a line is meant; whoever shows it picks the colours. */
export type Tone = "plain" | "dim" | "strong" | "tool" | "good" | "warning" | "bad";

export interface TextLine {
  tone: Tone;
  text: string;
}

/** The first `length` characters, and a sign that there were more. */
export function cut(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length).toWellFormed()}…`;
}
