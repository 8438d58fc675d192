import { plainLine, plainText } from "./plain-text.ts";
import { cut, type TextLine } from "./text-line.ts";

/** A tool's call in one line: the part of its input that people look for, or all of it. */
export function toolCall(name: string, input: unknown): string {
  const fields = record(input);
  const telling = [
    "command",
    "file_path",
    "notebook_path",
    "pattern",
    "url",
    "query",
    "description",
    "subject",
  ];
  const key = telling.find((field) => typeof fields[field] === "string");
  const shown = key === undefined ? (JSON.stringify(input) ?? "") : String(fields[key]);
  return `${plainLine(name)}(${cut(plainLine(shown === "{}" ? "" : shown), 300)})`;
}

/** What AskUserQuestion asks, with its choices; empty for any other tool: that wants leave alone. */
export function questionsOf(
  tool: string,
  input: unknown,
): { question: string; options: { label: string; description: string }[] }[] {
  const list = record(input)["questions"];
  if (tool !== "AskUserQuestion" || !Array.isArray(list)) return [];
  return list.flatMap((item) => {
    const { question, options } = record(item);
    if (typeof question !== "string") return [];
    const choices = (Array.isArray(options) ? options : []).flatMap((option) => {
      const { label, description } = record(option);
      return typeof label === "string"
        ? [{ label, description: typeof description === "string" ? description : "" }]
        : [];
    });
    return [{ question, options: choices }];
  });
}

/** Of AskUserQuestion's questions those that `answers`, by a question's text, say nothing to. */
export function unanswered(
  tool: string,
  input: unknown,
  answers: Readonly<Record<string, string>>,
): string[] {
  const said = new Map(Object.entries(answers));
  return questionsOf(tool, input)
    .map(({ question }) => question)
    .filter((question) => (said.get(question) ?? "").trim() === "");
}

/** The plan, in Markdown, that an agent in plan mode asks leave for; undefined for every other question. */
export function planOf(tool: string, input: unknown): string | undefined {
  const { plan } = record(input);
  return tool === "ExitPlanMode" && typeof plan === "string" ? plan : undefined;
}

/** A question event as a person reads it: the choices are numbered from 1. */
export function questionLines(tool: string, input: unknown): TextLine[] {
  const plan = planOf(tool, input);
  if (plan !== undefined) {
    return [
      { tone: "warning", text: "? The agent has a plan, and asks for leave to carry it out:" },
      ...plainText(plan.trim())
        .split("\n")
        .map((text) => ({ tone: "plain" as const, text: `    ${text}` })),
    ];
  }
  const asked = questionsOf(tool, input);
  if (asked.length === 0) {
    return [{ tone: "warning", text: `? The agent asks for leave: ${toolCall(tool, input)}` }];
  }
  return asked.flatMap(({ question, options }) => [
    { tone: "warning" as const, text: `? ${plainLine(question)}` },
    ...options.map(({ label, description }, index) => ({
      tone: "plain" as const,
      text: `    ${index + 1}. ${plainLine(label)}${description === "" ? "" : ` – ${plainLine(description)}`}`,
    })),
  ]);
}

/** The fields of a JSON object; none where it is something else. */
export function record(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {};
}
