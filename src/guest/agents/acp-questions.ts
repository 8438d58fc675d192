import type { RequestPermissionRequest, RequestPermissionResponse } from "@agentclientprotocol/sdk";
import type { GuestEvent } from "../../domain/event.ts";
import type { Json } from "../../domain/json.ts";
import type { AgentMode } from "../../domain/task.ts";
import { boundJson, cutWithNote } from "../text.ts";
import { isChange } from "./acp-changes.ts";
import type { AcpToolCall } from "./acp-messages.ts";
import { permissionAnswerSchema } from "./claude-messages.ts";

/** What the agent asks leave for: allowed in a sandbox that is the boundary, and minded in plan mode. */
export interface AcpQuestions {
  ask(
    request: RequestPermissionRequest,
    call: AcpToolCall | undefined,
  ): { events: GuestEvent[]; answer: Promise<RequestPermissionResponse> };
  /** One that is closed already is ignored. */
  answer(requestId: string, answer: Json): GuestEvent[];
  /** The turn is over or interrupted: as the protocol demands, what is open is answered `cancelled`. */
  cancelAll(): GuestEvent[];
}

interface Open {
  request: RequestPermissionRequest;
  isPlan: boolean;
  respond: (answer: RequestPermissionResponse) => void;
}

/** What changes nothing. */
const harmless = new Set(["read", "search", "think", "fetch"]);

export function createAcpQuestions({
  mode,
  planApproved,
  refusedWith,
}: {
  mode: () => AgentMode;
  planApproved: () => void;
  /** A person's words to what was refused, which the protocol has no place for. */
  refusedWith: (message: string) => void;
}): AcpQuestions {
  const open = new Map<string, Open>();

  const close = (requestId: string): GuestEvent[] =>
    open.delete(requestId) ? [{ kind: "question_closed", requestId }] : [];

  return {
    ask(request, call) {
      const decide = (answer: RequestPermissionResponse) => ({ events: [], answer: Promise.resolve(answer) });
      const kind = call?.kind ?? "other";
      const isPlan = kind === "switch_mode";
      if (mode() === "act" || harmless.has(kind)) return decide(chosen(request, "allow"));
      if (isChange({ kind })) return decide(chosen(request, "reject"));
      const requestId = crypto.randomUUID();
      const { promise, resolve } = Promise.withResolvers<RequestPermissionResponse>();
      open.set(requestId, { request, isPlan, respond: resolve });
      const raw = call?.rawInput ?? null;
      const tool = isPlan ? "ExitPlanMode" : (call?.name ?? call?.title ?? "a tool").slice(0, 200);
      const input: Json = isPlan
        ? { plan: planIn(call) }
        : { ...(call?.title && { description: call.title }), ...(isObject(raw) ? raw : {}) };
      return { events: [{ kind: "question", requestId, tool, input: boundJson(input) }], answer: promise };
    },
    answer(requestId, answer) {
      const question = open.get(requestId);
      if (question === undefined) return [];
      const closed = close(requestId);
      const said = permissionAnswerSchema.safeParse(answer).data;
      const isAllowed = said?.behavior === "allow";
      if (isAllowed && question.isPlan) planApproved();
      if (said?.behavior === "deny") refusedWith(said.message);
      question.respond(chosen(question.request, isAllowed ? "allow" : "reject"));
      return closed;
    },
    cancelAll() {
      const all = [...open];
      for (const [, { respond }] of all) respond({ outcome: { outcome: "cancelled" } });
      return all.flatMap(([requestId]) => close(requestId));
    },
  };
}

/** By its kind, never by its name: once before always, so that nothing stays allowed that plan mode would mind. */
function chosen({ options }: RequestPermissionRequest, what: "allow" | "reject"): RequestPermissionResponse {
  const option =
    options.find(({ kind }) => kind === `${what}_once`) ??
    options.find(({ kind }) => kind === `${what}_always`);
  return option === undefined
    ? { outcome: { outcome: "cancelled" } }
    : { outcome: { outcome: "selected", optionId: option.optionId } };
}

function planIn(call: AcpToolCall | undefined): string {
  const raw = call?.rawInput;
  if (isObject(raw) && typeof raw["plan"] === "string") return cutWithNote(raw["plan"], 100_000);
  const texts = (call?.content ?? []).flatMap((each) => (each.type === "content" ? [each.content.text] : []));
  return cutWithNote(texts.join("\n") || (call?.title ?? ""), 100_000);
}

const isObject = (value: Json | undefined): value is Record<string, Json> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
