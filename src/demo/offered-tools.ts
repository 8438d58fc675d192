import type { Conversation } from "./conversation.ts";
import type { ToolUse } from "./scenario.ts";

/**
 * The scenarios speak of tools as Claude Code has them. Other agents have the same in other spelling (`edit` with `filePath`
 * for `Edit` with `file_path`): what is called is what was offered.
 */
export function asOffered({ name, input }: ToolUse, tools: Conversation["tools"]): ToolUse {
  const offered = tools.has(name) ? name : fitting(name, [...tools.keys()]);
  const fields = tools.get(offered ?? "");
  if (offered === undefined || fields === undefined) return { name, input };
  return {
    name: offered,
    input: Object.fromEntries(
      Object.entries(input).map(([field, value]) => [
        fields.includes(field) ? field : (fitting(field, fields) ?? field),
        value,
      ]),
    ),
  };
}

const plain = (word: string) => word.replace(/[_-]/g, "").toLowerCase();
const fitting = (wanted: string, among: readonly string[]) =>
  among.find((each) => plain(each) === plain(wanted));
