import { z } from "zod";
import { parseJson } from "../../domain/json.ts";
import { lastLines } from "./last-lines.ts";

const block = z.object({ type: z.string(), text: z.string().optional() });
const recordSchema = z.object({
  type: z.enum(["assistant", "user"]),
  isSidechain: z.boolean().default(false),
  message: z.object({ content: z.union([z.string(), z.array(block)]) }),
});

/** No record is longer, and the last one is all that counts. */
const tailBytes = 32 * 1024 ** 2;
/** How the CLI writes down that a person ended a turn. */
const interrupted = /^\[Request interrupted by user/;

/**
 * Whether a conversation's file ends with something that the CLI goes on with when it is started again: a prompt or a tool's
 * result with no answer behind it, or a tool that was being used.
 */
export function owesAnswer(path: string): boolean {
  let owes = false;
  for (const line of lastLines(path, tailBytes)) owes = owesAfter(line) ?? owes;
  return owes;
}

/** Undefined where the line is no message of the conversation itself. */
function owesAfter(line: string): boolean | undefined {
  const record = recordSchema.safeParse(parseJson(line));
  if (!record.success || record.data.isSidechain) return undefined;
  const { type, message } = record.data;
  const blocks =
    typeof message.content === "string" ? [{ type: "text", text: message.content }] : message.content;
  if (type === "assistant") return blocks.some((each) => each.type === "tool_use");
  return !blocks.some(({ text = "" }) => interrupted.test(text));
}
