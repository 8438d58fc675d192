import { z } from "zod";
import { parseJson } from "../../domain/json.ts";
import { goOn } from "./agent.ts";
import { isCutOff } from "./claude-cut-off.ts";
import { lastLines } from "./last-lines.ts";

const block = z.object({ type: z.string(), text: z.string().optional() });
const recordSchema = z.object({
  type: z.enum(["assistant", "user"]),
  isSidechain: z.boolean().default(false),
  isMeta: z.boolean().default(false),
  isApiErrorMessage: z.boolean().default(false),
  message: z.object({ content: z.union([z.string(), z.array(block)]) }),
});

/** No record is longer, and the last one is all that counts. */
const tailBytes = 32 * 1024 ** 2;
/** How the CLI writes down that a person ended a turn. */
const interrupted = /^\[Request interrupted by user/;

/**
 * What a conversation's file ends with. `by itself`: with a prompt or a tool's result that has no answer, or with a tool that
 * was being used; the CLI goes on with that when it is started again, and says so to the model in a message of its own.
 * `when told`: with that message, since it was killed again before it had an answer: it does not go on twice by itself. Or
 * with an answer that broke off.
 */
export type Owed = "nothing" | "by itself" | "when told";

export function owedAnswer(path: string): Owed {
  let owed: Owed = "nothing";
  for (const line of lastLines(path, tailBytes)) owed = owedAfter(line) ?? owed;
  return owed;
}

/** Undefined where the line is no message of the conversation itself. */
function owedAfter(line: string): Owed | undefined {
  const record = recordSchema.safeParse(parseJson(line));
  if (!record.success || record.data.isSidechain) return undefined;
  const { type, message, isMeta, isApiErrorMessage } = record.data;
  const blocks =
    typeof message.content === "string" ? [{ type: "text", text: message.content }] : message.content;
  if (isApiErrorMessage) return blocks.some(({ text = "" }) => isCutOff(text)) ? "when told" : "nothing";
  if (type === "assistant") return blocks.some((each) => each.type === "tool_use") ? "by itself" : "nothing";
  if (blocks.some(({ text = "" }) => interrupted.test(text))) return "nothing";
  if (!isMeta) return "by itself";
  return blocks.some(({ text }) => text === goOn) ? "when told" : undefined;
}
