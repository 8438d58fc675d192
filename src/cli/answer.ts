import { CcwError } from "../domain/errors.ts";
import type { Answer } from "../domain/question.ts";
import { questionLines, questionsOf } from "../domain/question-text.ts";

/** What a person typed, as the answer to a question: `yes`, `no`, or one word group for each of its questions. */
export function answerOf(
  { tool, input }: { tool: string; input: unknown },
  words: readonly string[],
  message?: string,
): Answer {
  const asked = questionsOf(tool, input);
  const first = words[0]?.toLowerCase();
  if (
    words.length === 1 &&
    (first === "no" || first === "n") &&
    (asked.length === 0 || message !== undefined)
  ) {
    return { kind: "deny", message: message ?? "The person said no." };
  }
  if (asked.length === 0) {
    if (words.length === 1 && (first === "yes" || first === "y")) return { kind: "allow" };
    throw unclear("Answer `yes` or `no`.");
  }
  if (words.length !== asked.length) {
    throw unclear(
      asked.length === 1
        ? "Give one answer, in quotation marks."
        : `Give ${asked.length} answers, one for each question.`,
    );
  }
  const answers = asked.map(({ question, options }, index) => {
    const word = words[index] ?? "";
    const choice = /^\d+$/.test(word) ? options[Number(word) - 1]?.label : undefined;
    if (choice === undefined && /^\d+$/.test(word) && options.length > 0)
      throw unclear(`There is no choice ${word}.`);
    return [question, choice ?? word] as const;
  });
  return { kind: "answers", answers: Object.fromEntries(answers) };

  function unclear(what: string): CcwError {
    const shown = questionLines(tool, input).map(({ text }) => text);
    return new CcwError("invalid", `${what} The agent asks:\n${shown.join("\n")}`);
  }
}
