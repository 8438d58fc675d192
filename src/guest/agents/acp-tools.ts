import type { GuestEvent } from "../../domain/event.ts";
import type { Json } from "../../domain/json.ts";
import { boundJson, cutText } from "../text.ts";
import { type AcpDiff, type AcpToolCall, diffsOf } from "./acp-messages.ts";

/** The calls of tools, which an agent describes in pieces, as one call and one result each. */
export interface AcpTools {
  /** What came of a call now. One that is not settled yet is told when it is, or by `tell`. */
  update(call: AcpToolCall): GuestEvent[];
  /** Whether the call was heard of and has not ended. */
  isOpen(toolCallId: string): boolean;
  /** All that is known of calls that were not told. */
  tell(): GuestEvent[];
  /** Nothing more is heard of those that are open. */
  endAll(): GuestEvent[];
}

type Call = AcpToolCall & { told: boolean };

/** An agent that begins more without an end is not to fill our memory. */
const maxOpen = 200;
const maxDone = 1000;

/** `worked`: told of each call that has ended well, with all that was said of it. */
export function createAcpTools(worked: (call: AcpToolCall) => void = () => {}): AcpTools {
  const open = new Map<string, Call>();
  const done = new Set<string>();

  const use = (call: Call): GuestEvent[] => {
    if (call.told) return [];
    call.told = true;
    return [
      {
        kind: "tool_use",
        toolUseId: call.toolCallId,
        name: nameOf(call),
        input: boundJson(inputOf(call)),
      },
    ];
  };
  const close = (call: Call, isError: boolean, said: string): GuestEvent[] => {
    const first = use(call);
    open.delete(call.toolCallId);
    done.add(call.toolCallId);
    if (done.size > maxDone) for (const oldest of [...done].slice(0, maxDone / 2)) done.delete(oldest);
    return [...first, { kind: "tool_result", toolUseId: call.toolCallId, isError, ...cutText(said) }];
  };

  return {
    update(given) {
      if (done.has(given.toolCallId)) return [];
      const before = open.get(given.toolCallId);
      const call: Call = { ...(before ?? { told: false }), ...withoutEmpty(given, before) };
      open.set(call.toolCallId, call);
      const [oldest] = open.values();
      const dropped =
        open.size > maxOpen && oldest !== undefined ? close(oldest, true, "Its end was not heard.") : [];
      const hadTold = before?.told === true;
      switch (call.status) {
        case "completed":
          worked(call);
          return [...dropped, ...close(call, false, resultOf(call, hadTold))];
        case "failed":
          return [...dropped, ...close(call, true, resultOf(call, hadTold))];
        case "in_progress":
          return [...dropped, ...use(call)];
        default:
          return dropped;
      }
    },
    isOpen: (toolCallId) => open.has(toolCallId),
    tell: () => [...open.values()].flatMap(use),
    endAll: () => [...open.values()].flatMap((call) => close(call, true, "The turn ended before it did.")),
  };
}

/** An update names what has changed alone. */
function withoutEmpty(given: AcpToolCall, before: AcpToolCall | undefined): AcpToolCall {
  return {
    toolCallId: given.toolCallId,
    title: given.title ?? before?.title,
    name: given.name ?? before?.name,
    kind: given.kind ?? before?.kind,
    status: given.status ?? before?.status,
    content: given.content ?? before?.content,
    locations: given.locations ?? before?.locations,
    rawInput: given.rawInput ?? before?.rawInput,
    rawOutput: given.rawOutput ?? before?.rawOutput,
  };
}

/** In the names that the interfaces know, where the agent has said no other. */
const names: Readonly<Record<string, string>> = {
  ...{ read: "Read", edit: "Edit", delete: "Delete", move: "Move", search: "Search" },
  ...{ execute: "Bash", think: "Think", fetch: "WebFetch", switch_mode: "ExitPlanMode" },
};

function nameOf({ name, kind, title }: AcpToolCall): string {
  const known = kind != null && Object.hasOwn(names, kind) ? names[kind] : undefined;
  return (name ?? known ?? title ?? "tool").slice(0, 200) || "tool";
}

function inputOf(call: AcpToolCall): Json {
  const { rawInput, title, locations } = call;
  const diffs = diffsOf(call);
  const given = typeof rawInput === "object" && rawInput !== null && !Array.isArray(rawInput) ? rawInput : {};
  const path = diffs[0]?.path ?? locations?.[0]?.path;
  const edits = diffs.map(({ oldText, newText }) => ({ old_string: oldText ?? "", new_string: newText }));
  return {
    ...(title && !("description" in given) && { description: title }),
    ...(path !== undefined && !("file_path" in given) && { file_path: path }),
    ...given,
    ...(edits.length > 0 && !("old_string" in given) && (edits.length === 1 ? edits[0] : { edits })),
    ...(rawInput !== undefined && rawInput !== null && typeof rawInput !== "object" && { input: rawInput }),
  };
}

/** `hadTold`: what stands in its input already is not said again. */
function resultOf(call: AcpToolCall, hadTold: boolean): string {
  const raw = outputIn(call.rawOutput);
  if (raw !== undefined) return raw;
  const texts = (call.content ?? []).flatMap((each) => {
    if (each.type === "content") return [unfenced(each.content.text)];
    if (each.type === "diff" && hadTold) return [linesOf(each)];
    return [];
  });
  if (texts.length > 0) return texts.join("\n");
  return call.rawOutput === undefined || call.rawOutput === null ? "" : JSON.stringify(call.rawOutput);
}

function outputIn(raw: Json | undefined): string | undefined {
  if (typeof raw === "string") return raw;
  if (typeof raw !== "object" || raw === null || Array.isArray(raw)) return undefined;
  return typeof raw["output"] === "string" ? raw["output"] : undefined;
}

/** Made for an editor that shows Markdown. */
const unfenced = (text: string) => /^```\w*\n([\s\S]*?)\n?```\s*$/.exec(text)?.[1] ?? text;

const linesOf = ({ path, oldText, newText }: AcpDiff) =>
  [
    path,
    ...(oldText ?? "").split("\n").map((line) => `-${line}`),
    ...newText.split("\n").map((line) => `+${line}`),
  ].join("\n");
