import type { GuestEvent } from "../../domain/event.ts";
import type { Json } from "../../domain/json.ts";
import { boundJson } from "../text.ts";
import { permissionAnswerSchema } from "./claude-messages.ts";
import type { RpcId, UserInputQuestion } from "./codex-messages.ts";

/** What Codex asks a person, put in the words that the interfaces know: AskUserQuestion and ExitPlanMode. */
export interface CodexQuestions {
  ask(rpcId: RpcId, questions: readonly UserInputQuestion[]): GuestEvent[];
  /** A turn in plan mode has ended with a plan. `decided`: whether to act on it, and what was said otherwise. */
  propose(plan: string, decided: (verdict: PlanVerdict) => void): GuestEvent[];
  /** One that is closed already is ignored. */
  answer(requestId: string, answer: Json): GuestEvent[];
  /** Codex does not wait for it any more. */
  resolved(rpcId: RpcId): GuestEvent[];
  closeAll(): GuestEvent[];
}

export type PlanVerdict = { kind: "act" } | { kind: "replan"; message: string };

type Open =
  | { kind: "input"; rpcId: RpcId; questions: readonly UserInputQuestion[] }
  | { kind: "plan"; decided: (verdict: PlanVerdict) => void };

export function createCodexQuestions(respond: (rpcId: RpcId, result: object) => void): CodexQuestions {
  const open = new Map<string, Open>();
  const ask = (tool: string, input: Json, question: Open): GuestEvent[] => {
    const requestId = crypto.randomUUID();
    open.set(requestId, question);
    return [{ kind: "question", requestId, tool, input: boundJson(input) }];
  };
  const close = (requestId: string): GuestEvent[] =>
    open.delete(requestId) ? [{ kind: "question_closed", requestId }] : [];

  return {
    ask: (rpcId, questions) =>
      ask(
        "AskUserQuestion",
        {
          questions: questions.map(({ header, question, options }) => ({
            ...{ header, question, multiSelect: false },
            options: options ?? [],
          })),
        },
        { kind: "input", rpcId, questions },
      ),
    propose: (plan, decided) => ask("ExitPlanMode", { plan }, { kind: "plan", decided }),
    answer(requestId, answer) {
      const question = open.get(requestId);
      if (question === undefined) return [];
      const closed = close(requestId);
      const said = saidIn(answer);
      if (question.kind === "plan") {
        question.decided(
          said.kind === "allowed" ? { kind: "act" } : { kind: "replan", message: said.message },
        );
        return closed;
      }
      const answers = question.questions.map(({ id, question: asked }) => [
        id,
        { answers: [said.kind === "denied" ? said.message : (said.answers[asked] ?? "")] },
      ]);
      respond(question.rpcId, { answers: Object.fromEntries(answers) });
      return closed;
    },
    resolved(rpcId) {
      const found = [...open].find(([, each]) => each.kind === "input" && each.rpcId === rpcId);
      return found === undefined ? [] : close(found[0]);
    },
    closeAll: () => [...open.keys()].flatMap(close),
  };
}

/** The appliance's answer, which is in the words of Claude Code's permission protocol. */
function saidIn(
  answer: Json,
): { kind: "allowed"; answers: Record<string, string> } | { kind: "denied"; message: string } {
  const parsed = permissionAnswerSchema.safeParse(answer);
  if (!parsed.success) return { kind: "denied", message: "The answer could not be understood. Ask again." };
  if (parsed.data.behavior === "deny") return { kind: "denied", message: parsed.data.message };
  const given = parsed.data.updatedInput?.["answers"];
  const answers = typeof given === "object" && given !== null && !Array.isArray(given) ? given : {};
  return {
    kind: "allowed",
    answers: Object.fromEntries(Object.entries(answers).map(([question, text]) => [question, String(text)])),
  };
}
