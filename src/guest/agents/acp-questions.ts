import type {
  CreateElicitationResponse,
  RequestPermissionRequest,
  RequestPermissionResponse,
} from "@agentclientprotocol/sdk";
import type { GuestEvent } from "../../domain/event.ts";
import type { Json } from "../../domain/json.ts";
import type { AgentMode } from "../../domain/task.ts";
import { boundJson, cutWithNote } from "../text.ts";
import type { AcpContent } from "./acp-answers.ts";
import { isChange } from "./acp-changes.ts";
import { type AcpForm, asInput, fillIn } from "./acp-forms.ts";
import type { AcpToolCall } from "./acp-messages.ts";
import { type PermissionAnswer, permissionAnswerSchema } from "./claude-messages.ts";

/**
 * What the agent asks leave for, which is allowed in a sandbox that is the boundary, and minded in plan mode; and what it
 * wants to know from a person.
 */
export interface AcpQuestions {
  ask(
    request: RequestPermissionRequest,
    call: AcpToolCall | undefined,
  ): { events: GuestEvent[]; answer: Promise<RequestPermissionResponse> };
  /** What is answered with something else than was asked for is asked again. */
  askForm(form: AcpForm): {
    events: GuestEvent[];
    answer: Promise<CreateElicitationResponse>;
    /** The agent does not wait for it any more. */
    withdraw: () => GuestEvent[];
  };
  /** One that is closed already is ignored. */
  answer(requestId: string, answer: Json): GuestEvent[];
  /** The turn is over or interrupted: as the protocol demands, what is open is answered `cancelled`. */
  cancelAll(): GuestEvent[];
}

interface Open {
  /** Undefined: in words that nobody understands. What is to be told beside its end. */
  answered(said: PermissionAnswer | undefined): GuestEvent[];
  cancelled(): void;
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

  const put = (question: Open, tool: string, input: Json): { requestId: string; events: GuestEvent[] } => {
    const requestId = crypto.randomUUID();
    open.set(requestId, question);
    return { requestId, events: [{ kind: "question", requestId, tool, input: boundJson(input) }] };
  };
  const close = (requestId: string): GuestEvent[] =>
    open.delete(requestId) ? [{ kind: "question_closed", requestId }] : [];
  const cancel = (requestId: string): GuestEvent[] => {
    open.get(requestId)?.cancelled();
    return close(requestId);
  };

  return {
    ask(request, call) {
      const decide = (answer: RequestPermissionResponse) => ({ events: [], answer: Promise.resolve(answer) });
      const kind = call?.kind ?? "other";
      const isPlan = kind === "switch_mode";
      if (mode() === "act" || harmless.has(kind)) return decide(chosen(request, "allow"));
      if (isChange({ kind })) return decide(chosen(request, "reject"));
      const { promise, resolve } = Promise.withResolvers<RequestPermissionResponse>();
      const question: Open = {
        answered(said) {
          const isAllowed = said?.behavior === "allow";
          if (isAllowed && isPlan) planApproved();
          if (said?.behavior === "deny") refusedWith(said.message);
          resolve(chosen(request, isAllowed ? "allow" : "reject"));
          return [];
        },
        cancelled: () => resolve({ outcome: { outcome: "cancelled" } }),
      };
      const raw = call?.rawInput ?? null;
      const tool = isPlan ? "ExitPlanMode" : (call?.name ?? call?.title ?? "a tool").slice(0, 200);
      const input: Json = isPlan
        ? { plan: planIn(call) }
        : { ...(call?.title && { description: call.title }), ...(isObject(raw) ? raw : {}) };
      return { events: put(question, tool, input).events, answer: promise };
    },
    askForm({ message, questions }) {
      const { promise, resolve } = Promise.withResolvers<CreateElicitationResponse>();
      let last = "";
      const putForm = (asked: AcpForm["questions"], given: AcpContent): GuestEvent[] => {
        const question: Open = {
          answered(said) {
            if (said?.behavior === "deny") refusedWith(said.message);
            if (said?.behavior !== "allow") {
              resolve({ action: "decline" });
              return [];
            }
            const { content, wrong } = fillIn(asked, said.updatedInput?.["answers"]);
            const all = { ...given, ...content };
            if (wrong.length > 0) {
              const text = `What was answered does not fit, and is asked again: it has to be ${wrong.map(({ why }) => why).join("; ")}.`;
              const again = wrong.map((each) => each.asked);
              return [{ kind: "notice", level: "warning", text }, ...putForm(again, all)];
            }
            resolve({ action: "accept", content: all });
            return [];
          },
          cancelled: () => resolve({ action: "cancel" }),
        };
        // A form without fields asks for a yes.
        const { requestId, events } =
          asked.length === 0
            ? put(question, "a form", { description: message })
            : put(question, "AskUserQuestion", asInput(asked));
        last = requestId;
        return events;
      };
      return { events: putForm(questions, {}), answer: promise, withdraw: () => cancel(last) };
    },
    answer(requestId, answer) {
      const question = open.get(requestId);
      if (question === undefined) return [];
      return [...close(requestId), ...question.answered(permissionAnswerSchema.safeParse(answer).data)];
    },
    cancelAll: () => [...open.keys()].flatMap(cancel),
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
