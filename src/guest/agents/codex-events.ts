import type { GuestEvent } from "../../domain/event.ts";
import type { Json } from "../../domain/json.ts";
import { boundJson, cutText, cutWithNote } from "../text.ts";
import type { CodexItem } from "./codex-messages.ts";

/** What an item of a turn means in the transcript. One translator for one process: it remembers what it has told. */
export interface CodexTranslator {
  started(item: CodexItem): GuestEvent[];
  completed(item: CodexItem): GuestEvent[];
}

export function createCodexTranslator(): CodexTranslator {
  const told = new Set<string>();

  const used = (id: string, name: string, input: Json): GuestEvent[] => {
    if (told.has(id)) return [];
    told.add(id);
    return [{ kind: "tool_use", toolUseId: id, name: name.slice(0, 200), input: boundJson(input) }];
  };
  const answered = (id: string, isError: boolean, text: string): GuestEvent => {
    told.delete(id);
    return { kind: "tool_result", toolUseId: id, isError, ...cutText(text) };
  };

  const started = (item: CodexItem): GuestEvent[] => {
    switch (item.type) {
      case "commandExecution":
        return used(item.id, "Bash", { command: commandOf(item.command) });
      case "fileChange":
        return used(item.id, "apply_patch", { description: pathsOf(item.changes), changes: item.changes });
      case "mcpToolCall":
        return used(item.id, `mcp__${item.server}__${item.tool}`, item.arguments);
      case "collabAgentToolCall":
        return used(item.id, item.tool, { description: item.prompt ?? "" });
      case "imageView":
        return used(item.id, "Read", { file_path: item.path });
      case "userMessage":
      case "agentMessage":
      case "plan":
      case "reasoning":
      case "contextCompaction":
      case "other":
        return [];
    }
  };

  return {
    started,
    completed(item) {
      switch (item.type) {
        case "commandExecution": {
          const failed = item.status !== "completed" || (item.exitCode ?? 0) !== 0;
          const code = failed && item.exitCode != null ? `\nexit code ${item.exitCode}` : "";
          return [...started(item), answered(item.id, failed, `${item.aggregatedOutput ?? ""}${code}`)];
        }
        case "fileChange":
          return [...started(item), answered(item.id, item.status !== "completed", pathsOf(item.changes))];
        case "mcpToolCall": {
          const text = item.error?.message ?? contentOf(item.result ?? null);
          return [...started(item), answered(item.id, item.status !== "completed", text)];
        }
        case "collabAgentToolCall":
          return [...started(item), answered(item.id, item.status === "failed", item.status)];
        case "imageView":
          return [...started(item), answered(item.id, false, "[image]")];
        case "agentMessage":
          return [{ kind: "assistant_text", blockId: item.id, text: cutWithNote(item.text) }];
        case "reasoning": {
          const text = [...item.summary, ...(item.summary.length === 0 ? item.content : [])].join("\n\n");
          return text === "" ? [] : [{ kind: "thinking", blockId: item.id, text: cutWithNote(text) }];
        }
        case "contextCompaction":
          return [
            {
              kind: "notice",
              level: "info",
              text: "The agent has condensed the conversation to make room.",
            },
          ];
        // A plan is put before a person; a person's own words stand in the transcript already.
        case "plan":
        case "userMessage":
        case "other":
          return [];
      }
    },
  };
}

/** `/bin/bash -lc 'the command'` as it was meant. */
function commandOf(command: string): string {
  const inner = /^\/bin\/(?:ba)?sh -l?c '([\s\S]*)'$/.exec(command)?.[1];
  return inner === undefined ? command : inner.replaceAll(`'"'"'`, "'").replaceAll(`'\\''`, "'");
}

function pathsOf(changes: readonly Json[]): string {
  const lines = changes.map((change) => {
    const fields = typeof change === "object" && change !== null && !Array.isArray(change) ? change : {};
    const { kind } = fields;
    const type = typeof kind === "object" && kind !== null && !Array.isArray(kind) ? kind["type"] : "";
    return `${String(type ?? "")} ${String(fields["path"] ?? "")}`.trim();
  });
  return lines.join("\n");
}

function contentOf(result: Json): string {
  if (typeof result !== "object" || result === null || Array.isArray(result)) return "";
  const { content } = result;
  if (!Array.isArray(content)) return JSON.stringify(result);
  return content
    .map((part) =>
      typeof part === "object" && part !== null && !Array.isArray(part) && typeof part["text"] === "string"
        ? part["text"]
        : JSON.stringify(part),
    )
    .join("\n");
}
