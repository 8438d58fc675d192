import type { GuestEvent } from "../../domain/event.ts";
import { type Json, jsonSchema } from "../../domain/json.ts";
import { boundJson, cutText, cutWithNote } from "../text.ts";
import { isCutOff } from "./claude-cut-off.ts";
import { type ClaudeMessage, type ContentBlock, claudeMessageSchema } from "./claude-messages.ts";

/** What a line of the CLI means: an event as it stands, or a word about turns and questions that needs their state. */
export type ClaudeMeaning =
  | { kind: "event"; event: GuestEvent }
  | { kind: "delta"; blockId: string; text: string }
  /** A turn begins; the CLI says it at the start of each. */
  | { kind: "turn_began" }
  | { kind: "prompt_taken"; uuid: string }
  | { kind: "turn_over"; outcome: TurnOutcome; text: string; usage: Usage }
  | { kind: "asked"; requestId: string; tool: string; input: Record<string, Json> }
  | { kind: "ask_withdrawn"; requestId: string }
  /** To a request of ours. */
  | { kind: "answered"; requestId: string; error: string | undefined; cancelled: boolean }
  | { kind: "mode_changed"; permissionMode: string }
  /** A request that only an SDK's host could answer. */
  | { kind: "asked_beyond_us"; requestId: string; subtype: string };

/** `cut off`: the last answer of the model broke off behind its first block, and the CLI did not ask for it again. */
type TurnOutcome = "done" | "error" | "interrupted" | "cut off";

interface Usage {
  inputTokens: number;
  outputTokens: number;
}

/**
 * One translator for one process: it remembers which message and block a delta belongs to, and nothing else.
 * `onMessage`: a message of the conversation itself was said, by the name that it has in its file, too.
 */
export function createClaudeTranslator(
  onMessage: (uuid: string) => void = () => {},
): (line: string) => ClaudeMeaning[] {
  /**
   * By sub-agent (its tool call's id, or the main one's null): the message that is being written. The CLI says each
   * of its content blocks in an `assistant` message of its own, in order: their count is the block's index.
   */
  const current = new Map<string | null, { id: string; blocks: number }>();
  const messageOf = (agent: string | null, id: string) => {
    let message = current.get(agent);
    if (message?.id !== id) {
      message = { id, blocks: 0 };
      current.set(agent, message);
    }
    return message;
  };

  return (line) => {
    const raw = parseJson(line);
    if (raw === undefined) {
      return notice("warning", `The agent wrote a line that cannot be read: ${cutText(line, 500).text}`);
    }
    const parsed = claudeMessageSchema.safeParse(raw);
    if (!parsed.success) return unknown(raw);
    const message = parsed.data;
    const isOwn = message.type === "assistant" || (message.type === "user" && message.isReplay !== true);
    if (isOwn && message.parent_tool_use_id === null && message.uuid !== undefined) onMessage(message.uuid);
    switch (message.type) {
      case "stream_event": {
        const { event, parent_tool_use_id: agent } = message;
        if (event.type === "message_start") messageOf(agent, event.message.id);
        if (event.type !== "content_block_delta" || event.delta.type !== "text_delta") return [];
        const id = current.get(agent)?.id;
        return id === undefined
          ? []
          : [{ kind: "delta", blockId: blockIdOf(id, event.index), text: event.delta.text }];
      }
      case "assistant": {
        const { id, content } = message.message;
        const written = messageOf(message.parent_tool_use_id, id);
        return content.flatMap((block) => blockMeaning(block, blockIdOf(id, written.blocks++)));
      }
      case "user":
        return userMeaning(message);
      case "system":
        return systemMeaning(message);
      case "result":
        return [
          {
            kind: "turn_over",
            outcome: outcomeOf(message),
            text: cutWithNote(resultWords(message)),
            usage: {
              inputTokens:
                message.usage.input_tokens +
                message.usage.cache_creation_input_tokens +
                message.usage.cache_read_input_tokens,
              outputTokens: message.usage.output_tokens,
            },
          },
        ];
      case "control_request":
        return "input" in message.request
          ? [
              {
                kind: "asked",
                requestId: message.request_id,
                tool: message.request.tool_name.slice(0, 200),
                input: message.request.input,
              },
            ]
          : [
              {
                kind: "asked_beyond_us",
                requestId: message.request_id,
                subtype: message.request.subtype,
              },
              ...unknown(raw),
            ];
      case "control_cancel_request":
        return [{ kind: "ask_withdrawn", requestId: message.request_id }];
      case "rate_limit_event":
        return rateLimitMeaning(message.rate_limit_info);
      case "control_response": {
        const { response } = message;
        if (response === undefined) return [];
        const { request_id: requestId, error } = response;
        return [{ kind: "answered", requestId, error, cancelled: response.response?.cancelled === true }];
      }
      case "keep_alive":
      case "tool_progress":
      case "tool_use_summary":
        return [];
    }
  };
}

function outcomeOf(message: Extract<ClaudeMessage, { type: "result" }>): TurnOutcome {
  if (message.terminal_reason?.startsWith("aborted") === true) return "interrupted";
  // A call that the model refused is `subtype: "success"` with `is_error`: the flag tells, not the subtype.
  if (!message.is_error) return "done";
  return isCutOff(resultWords(message)) ? "cut off" : "error";
}

function resultWords({ result, errors }: Extract<ClaudeMessage, { type: "result" }>): string {
  return result ?? (errors ?? []).join("\n");
}

const blockIdOf = (messageId: string, index: number) => `${messageId.slice(0, 150)}:${index}`;

function blockMeaning(block: ContentBlock, blockId: string): ClaudeMeaning[] {
  switch (block.type) {
    case "text":
      return event({ kind: "assistant_text", blockId, text: cutWithNote(block.text) });
    case "thinking":
      return event({ kind: "thinking", blockId, text: cutWithNote(block.thinking) });
    case "redacted_thinking":
      return [];
    case "tool_use":
      return event({
        kind: "tool_use",
        toolUseId: block.id.slice(0, 200),
        name: block.name.slice(0, 200),
        input: boundJson(block.input),
      });
    case "tool_result":
      return event({
        kind: "tool_result",
        toolUseId: block.tool_use_id.slice(0, 200),
        isError: block.is_error === true,
        ...cutText(resultText(block.content)),
      });
    case "other":
      return unknown(block.raw);
  }
}

/** What the CLI says in the user's name: tool results, and texts such as "[Request interrupted by user]". */
function userMeaning(message: Extract<ClaudeMessage, { type: "user" }>): ClaudeMeaning[] {
  if (message.isReplay === true) {
    return message.uuid === undefined ? [] : [{ kind: "prompt_taken", uuid: message.uuid }];
  }
  // To a sub-agent such a text is its task, which the tool call that started it holds already.
  const note = (text: string) => (message.parent_tool_use_id === null ? notice("info", text) : []);
  const { content } = message.message;
  if (typeof content === "string") return note(content);
  return content.flatMap((block) => (block.type === "text" ? note(block.text) : blockMeaning(block, "")));
}

function resultText(content: Extract<ContentBlock, { type: "tool_result" }>["content"]): string {
  if (content === undefined || typeof content === "string") return content ?? "";
  return content.map((part) => part.text ?? `[${part.type}]`).join("\n");
}

function systemMeaning(message: Extract<ClaudeMessage, { type: "system" }>): ClaudeMeaning[] {
  switch (message.subtype) {
    case "init":
      return [{ kind: "turn_began" }];
    case "api_retry": {
      const status = message.error_status === null ? "" : ` (${message.error_status})`;
      return notice(
        "warning",
        `The model did not answer: ${message.error}${status}. Try ${message.attempt} of ${message.max_retries} in ${Math.ceil(message.retry_delay_ms / 1000)} s.`,
      );
    }
    case "compact_boundary":
      return notice("info", "The agent has condensed the conversation to make room.");
    case "hook_response":
      return message.outcome === "success"
        ? []
        : notice("warning", `The hook ${message.hook_name} ended with ${message.outcome}: ${message.output}`);
    case "task_notification":
      if (message.output_file === "") return [];
      return notice(message.status === "failed" ? "warning" : "info", message.summary);
    case "informational":
    case "local_command_output":
      return notice("info", message.content);
    case "model_refusal_fallback":
    case "model_refusal_no_fallback":
      return notice("warning", message.content);
    case "notification":
      return notice("info", message.text);
    case "status":
      return message.permissionMode === undefined
        ? []
        : [{ kind: "mode_changed", permissionMode: message.permissionMode }];
    case "thinking_tokens":
    case "hook_started":
    case "hook_progress":
    case "task_started":
    case "task_updated":
    case "task_progress":
    case "session_state_changed":
    case "commands_changed":
    case "files_persisted":
      return [];
  }
}

function rateLimitMeaning(info: { status: string; resetsAt?: number | undefined }): ClaudeMeaning[] {
  if (info.status === "allowed") return [];
  const until =
    info.resetsAt === undefined ? "" : ` It resets at ${new Date(info.resetsAt * 1000).toISOString()}.`;
  return info.status === "rejected"
    ? notice("error", `The usage limit of the model account is reached.${until}`)
    : notice("warning", `The usage limit of the model account is near.${until}`);
}

function event(body: GuestEvent): ClaudeMeaning[] {
  return [{ kind: "event", event: body }];
}

function notice(level: "info" | "warning" | "error", text: string): ClaudeMeaning[] {
  return text.trim() === "" ? [] : event({ kind: "notice", level, text: cutWithNote(text) });
}

function unknown(raw: unknown): ClaudeMeaning[] {
  const json = jsonSchema.safeParse(raw);
  return event({ kind: "unknown", raw: json.success ? boundJson(json.data) : null });
}

/** Every reader of JSON after this one recurses: what is nested on purpose must not reach them. */
const maxDepth = 100;

function isDeeper(value: unknown, limit: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  return limit === 0 || Object.values(value).some((item) => isDeeper(item, limit - 1));
}

function parseJson(line: string): Json | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isDeeper(value, maxDepth) ? undefined : jsonSchema.parse(value);
  } catch {
    return undefined;
  }
}
