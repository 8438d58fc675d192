import { readFileSync } from "node:fs";
import type { AcpSession } from "./acp-session.ts";
import type { AcpInput } from "./acp-turns.ts";
import type { AgentPrompt, AgentStart } from "./agent.ts";

/** What the agent is given, with what it has to know first where its own instructions do not say it. */
export function blocksOf(
  input: AcpInput,
  { capabilities, isFresh, isInstructed, before }: AcpSession,
  instructions: string | undefined,
  mode: AgentStart["mode"],
): object[] {
  const reminders: string[] = [];
  if (instructions !== undefined && isFresh && !isInstructed) reminders.push(instructions);
  if (instructions !== undefined && isFresh && before !== undefined)
    reminders.push(
      `This conversation begins anew; an earlier one cannot be read any more. You were asked last:\n\n${before.last.text}\n\nYou said last:\n\n${before.last.reply || "(nothing)"}`,
    );
  if (mode === "plan")
    reminders.push("Plan mode: change nothing. Find out what is needed, and say what you would do.");
  const notes = reminders.map((text) => ({
    type: "text",
    text: `<system-reminder>\n${text}\n</system-reminder>`,
  }));
  if (input.kind === "words") return [...notes, { type: "text", text: input.text }];
  const pictures = capabilities.promptCapabilities.image ? input.prompt.images.flatMap(pictureOf) : [];
  return [...notes, { type: "text", text: input.prompt.text }, ...pictures];
}

/** One that is gone from the workspace since is named in the text. */
function pictureOf({ path, mediaType }: AgentPrompt["images"][number]): object[] {
  try {
    return [{ type: "image", mimeType: mediaType, data: readFileSync(path).toString("base64") }];
  } catch {
    return [];
  }
}
