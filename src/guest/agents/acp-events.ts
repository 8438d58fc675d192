import type { GuestEvent } from "../../domain/event.ts";
import type { Json } from "../../domain/json.ts";
import { boundJson, cutWithNote } from "../text.ts";
import { type AcpToolCall, type AcpUpdate, toolCallSchema } from "./acp-messages.ts";
import { createAcpTools } from "./acp-tools.ts";
import type { Deltas } from "./deltas.ts";

/**
 * What the updates of a session mean in the transcript. What is shown again of a session has the same names as when it was
 * said: those of tools are the agent's own, and a block of text is named by its message and its place in it. So a block
 * does not end where something else comes between its pieces, which may not stand there again.
 */
export interface AcpTranslator {
  update(update: AcpUpdate): GuestEvent[];
  /** The tool that leave is asked for, told if it was not. */
  asked(call: unknown): { call: AcpToolCall | undefined; events: GuestEvent[] };
  /** A turn has ended, or all of it: what is open is closed. */
  end(): GuestEvent[];
  /** A turn begins. */
  begin(): void;
  /** The agent's last words of the turn. */
  readonly lastWords: string;
  close(): void;
}

/** A block that goes on and on is told in parts of this length, in characters. */
const maxBlock = 200_000;
/** Messages of one turn; an agent that begins more without an end is not to fill our memory. */
const maxPlaces = 10_000;
/** A call whose input has not changed for so long is told as it is then. */
const settleMs = 300;

export function createAcpTranslator({
  deltas,
  late,
  worked,
}: {
  deltas: Deltas;
  late: (events: GuestEvent[]) => void;
  /** A call has ended well. */
  worked?: (call: AcpToolCall) => void;
}): AcpTranslator {
  const tools = createAcpTools(worked);
  let block: { kind: "text" | "thought"; id: string; messageId: string; text: string } | undefined;
  let lastWords = "";
  let plan = "";
  let places = new Map<string, number>();
  let settling: ReturnType<typeof setTimeout> | undefined;

  const endBlock = (): GuestEvent[] => {
    const now = block;
    block = undefined;
    if (now === undefined || now.text.trim() === "") return deltas.flush();
    const kind = now.kind === "text" ? ("assistant_text" as const) : ("thinking" as const);
    if (now.kind === "text") lastWords = now.text;
    const event: GuestEvent = { kind, blockId: now.id, text: now.text };
    return [...deltas.flush(event), event];
  };

  const nameOf = (kind: "text" | "thought", messageId: string): string => {
    if (messageId === "") return crypto.randomUUID();
    if (places.size > maxPlaces) places.clear();
    const name = `${messageId}.${kind}`;
    const place = places.get(name) ?? 0;
    places.set(name, place + 1);
    return `${name}.${place}`;
  };

  const add = (kind: "text" | "thought", text: string, messageId: string): GuestEvent[] => {
    const isNew = block?.kind !== kind || block.messageId !== messageId || block.text.length > maxBlock;
    // What is nothing but space may be left out where it is shown again: it begins no block.
    if (isNew && text.trim() === "") return [];
    const before = isNew ? endBlock() : [];
    block = isNew || block === undefined ? { kind, id: nameOf(kind, messageId), messageId, text: "" } : block;
    const piece = cutWithNote(text, maxBlock / 4);
    block.text += piece;
    return [...before, ...(kind === "text" ? deltas.add(block.id, piece) : [])];
  };

  const ofTool = (call: AcpToolCall): GuestEvent[] => {
    clearTimeout(settling);
    settling = setTimeout(() => late(tools.tell()), settleMs);
    return tools.update(call);
  };

  return {
    update(update) {
      switch (update.sessionUpdate) {
        case "agent_message_chunk":
          return add("text", update.content.text, update.messageId);
        case "agent_thought_chunk":
          return add("thought", update.content.text, update.messageId);
        case "tool_call":
        case "tool_call_update": {
          const before = tools.isOpen(update.toolCallId) ? [] : endBlock();
          return [...before, ...ofTool(update)];
        }
        case "plan": {
          const told = JSON.stringify(update.entries);
          if (told === plan) return [];
          plan = told;
          return todoList(update.entries);
        }
        case "notice": {
          const text = [update.title, update.description ?? ""].filter(Boolean).join(": ");
          const level = update.severity === "info" ? "info" : "warning";
          return [{ kind: "notice", level, text: cutWithNote(text, 4000) }];
        }
        case "user_message_chunk":
        case "current_mode_update":
        case "config_option_update":
        case "available_commands_update":
        case "session_info_update":
        case "usage_update":
        case "compaction_update":
        case "compaction_summary_chunk":
          return [];
      }
    },
    asked(given) {
      const call = toolCallSchema.safeParse(given).data;
      if (call === undefined) return { call, events: endBlock() };
      const before = tools.isOpen(call.toolCallId) ? [] : endBlock();
      return { call, events: [...before, ...tools.update(call), ...tools.tell()] };
    },
    end() {
      clearTimeout(settling);
      return [...endBlock(), ...tools.endAll()];
    },
    begin() {
      lastWords = "";
      places = new Map();
    },
    get lastWords() {
      return block?.kind === "text" ? block.text : lastWords;
    },
    close() {
      clearTimeout(settling);
    },
  };
}

/** The agent's list of what it is going to do, as the tool that the interfaces know has it. */
function todoList(entries: readonly { content: string; status: string }[]): GuestEvent[] {
  const toolUseId = crypto.randomUUID();
  const done = entries.filter(({ status }) => status === "completed").length;
  const current = entries.find(({ status }) => status === "in_progress")?.content;
  const description = [`${done} of ${entries.length} done`, ...(current === undefined ? [] : [current])].join(
    "; ",
  );
  const input: Json = {
    description: description.slice(0, 500),
    todos: entries.slice(0, 200).map((each) => ({ ...each })),
  };
  return [
    { kind: "tool_use", toolUseId, name: "TodoWrite", input: boundJson(input) },
    { kind: "tool_result", toolUseId, isError: false, text: "", omitted: 0 },
  ];
}
