import type { Json } from "../domain/json.ts";
import type { ToolUse } from "./scenario.ts";

/**
 * The scenarios speak of tools as Claude Code has them; Codex has others for the same ends: a shell that takes patches, too,
 * and questions.
 */

/** As a scenario looks for it; undefined for what none asks for. */
export function scenarioToolOf(name: string): string | undefined {
  if (name === "request_user_input") return "AskUserQuestion";
  return name === "exec_command" || name === "exec" ? "Bash" : undefined;
}

export interface FunctionCall {
  name: string;
  arguments: string;
}

/** The call that does in Codex what the scenario wants. */
export function callOf({ name, input }: ToolUse): FunctionCall {
  const text = (key: string) => String(input[key] ?? "");
  switch (name) {
    case "Bash":
      return shell(text("command"));
    case "Read":
      return shell(`cat ${quoted(text("file_path"))}`);
    case "Write":
      return patch(`*** Add File: ${text("file_path")}\n${marked("+", text("content").replace(/\n$/, ""))}`);
    case "Edit":
      return patch(
        `*** Update File: ${text("file_path")}\n@@\n${marked("-", text("old_string"))}\n${marked("+", text("new_string"))}`,
      );
    case "AskUserQuestion":
      return call("request_user_input", { questions: questionsOf(input["questions"] ?? []) });
    default:
      return shell(`echo ${quoted(`The demo model has no ${name} here.`)}; exit 1`);
  }
}

/** What a call answered, in the words that the scenarios look for. */
export function resultOf(name: string, output: string): { text: string; isError: boolean } {
  if (name === "request_user_input") {
    const given = [...output.matchAll(/"(q\d+)":\{"answers":\["((?:[^"\\]|\\.)*)"/g)];
    const text = given.map(([, id, answer]) => `"${id}"="${answer}"`).join(", ");
    return { text: text === "" ? output : text, isError: given.length === 0 };
  }
  const failed = /^(?:Process exited with code|Exit code:) (?!0$)/m.test(output.slice(0, 1000));
  const refused = !/^Output:$/m.test(output);
  return { text: output.replace(/^[\s\S]*?^Output:\n/m, ""), isError: failed || refused };
}

/** The longest that Codex lets a command run before it looks. */
const yieldMs = 30_000;

function shell(command: string): FunctionCall {
  return call("exec_command", { cmd: command, yield_time_ms: yieldMs });
}

function patch(body: string): FunctionCall {
  return shell(`apply_patch <<'EOF'\n*** Begin Patch\n${body}\n*** End Patch\nEOF`);
}

function call(name: string, input: Json): FunctionCall {
  return { name, arguments: JSON.stringify(input) };
}

const marked = (mark: string, text: string) => text.replace(/^/gm, mark);
const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;

function questionsOf(questions: Json): Json {
  if (!Array.isArray(questions)) return [];
  return questions.map((question, index) => ({
    ...(typeof question === "object" && question !== null && !Array.isArray(question)
      ? { header: question["header"] ?? "", question: question["question"] ?? "" }
      : {}),
    id: `q${index}`,
    options:
      typeof question === "object" && question !== null && !Array.isArray(question)
        ? (question["options"] ?? [])
        : [],
  }));
}
