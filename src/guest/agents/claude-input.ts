import { readFileSync } from "node:fs";
import type { Json } from "../../domain/json.ts";
import type { AgentPrompt } from "./agent.ts";
import { type PermissionAnswer, permissionAnswerSchema } from "./claude-messages.ts";

/** What the CLI reads, as `SDKUserMessage` and the permission protocol in sdk.d.ts have it. */

export function userMessage({
  uuid,
  text,
  images = [],
}: Pick<AgentPrompt, "text"> & Partial<Pick<AgentPrompt, "images">> & { uuid: string }): object {
  const pictures = images.flatMap(({ path, mediaType }) => {
    try {
      const data = readFileSync(path).toString("base64");
      return [{ type: "image", source: { type: "base64", media_type: mediaType, data } }];
    } catch {
      return []; // gone from the workspace since; its name stands in the text
    }
  });
  return {
    type: "user",
    uuid,
    message: { role: "user", content: [{ type: "text", text }, ...pictures] },
    parent_tool_use_id: null,
    session_id: "",
  };
}

/** An answer that the CLI would not understand becomes a refusal that says so: the turn must not hang on it. */
export function answerOf(answer: Json, input: Record<string, Json>): PermissionAnswer {
  const parsed = permissionAnswerSchema.safeParse(answer);
  if (!parsed.success) return { behavior: "deny", message: "The answer could not be understood. Ask again." };
  return parsed.data.behavior === "allow"
    ? { ...parsed.data, updatedInput: parsed.data.updatedInput ?? input }
    : parsed.data;
}
