import { z } from "zod";
import { maxEventText } from "../../domain/event.ts";
import type { Json } from "../../domain/json.ts";
import { cutWithNote } from "../text.ts";
import type { AcpContent, AcpField } from "./acp-answers.ts";
import { fieldName, fieldOf, isChoice, isFreeText, type Property, propertySchema } from "./acp-fields.ts";

/**
 * What an agent wants a person to fill in (`elicitation/create` of the protocol). Each field is a question of
 * AskUserQuestion, which all interfaces show.
 */
export interface AcpForm {
  kind: "form";
  sessionId: string;
  toolCallId: string | undefined;
  message: string;
  /** None where the agent wants a yes or no alone. */
  questions: readonly AsQuestion[];
}
type AsQuestion = AcpField & { question: string; header: string };

/** One that cannot be put before a person here, and why, in words. */
export interface UnfitForm {
  kind: "unfit";
  sessionId: string | undefined;
  why: string;
}

const maxFields = 20;
const requestSchema = z.object({
  sessionId: z.string().max(200),
  toolCallId: z.string().max(200).nullish().catch(null),
  message: z.string().transform((text) => cutWithNote(text, 4000).trim()),
  requestedSchema: z.object({
    properties: z.record(fieldName, propertySchema).default({}),
    required: z.array(z.string()).nullish(),
  }),
});
const kindSchema = z.object({ sessionId: z.string().optional().catch(undefined), mode: z.string() });

export function formIn(params: unknown): AcpForm | UnfitForm {
  const { sessionId, mode } = kindSchema.safeParse(params).data ?? { sessionId: undefined, mode: "" };
  const unfit = (why: string): UnfitForm => ({ kind: "unfit", sessionId, why });
  if (mode === "url") return unfit("it sends a person to an address");
  if (mode !== "form") return unfit("it is no form");
  const parsed = requestSchema.safeParse(params);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return unfit(`${issue?.path.join(".").slice(0, 200)}: ${issue?.message.slice(0, 200)}`);
  }
  const { toolCallId, message, requestedSchema } = parsed.data;
  const properties = new Map(Object.entries(requestedSchema.properties));
  const isRequired = (key: string) => requestedSchema.required?.includes(key) === true;
  // Claude's adapter has a text field behind each choice, for what the interfaces call "Other".
  const otherOf = (key: string) => {
    const other = `${key}_custom`;
    const isPair = isChoice(properties.get(key)) && isFreeText(properties.get(other));
    return isPair && !isRequired(key) && !isRequired(other) ? other : undefined;
  };
  const others = new Set([...properties.keys()].map(otherOf));
  const asked = [...properties].filter(([key]) => !others.has(key));
  if (asked.length > maxFields) return unfit(`it has over ${maxFields} fields`);

  const questions: AsQuestion[] = [];
  for (const [key, property] of asked) {
    const field = fieldOf(property, { key, isRequired: isRequired(key), other: otherOf(key) });
    const isOnly = asked.length === 1;
    const words = isOnly
      ? [message, property.description].filter(Boolean).join("\n") || nameOf(key, property)
      : [nameOf(key, property), property.description].filter(Boolean).join(": ");
    const before = !isOnly && questions.length === 0 && message !== "" ? `${message}\n\n` : "";
    const text = `${before}${words}${field.hint === "" ? "" : ` (${field.hint})`}`;
    // An answer goes by its question's words.
    const isThere = questions.some(({ question }) => question === text);
    const question = isThere ? `${text} [${key}]` : text;
    questions.push({ ...field, question, header: isOnly ? cutWithNote(property.title, 100) : "" });
  }
  if (JSON.stringify(asInput(questions)).length > maxEventText) return unfit("it is too long");
  const { sessionId: session } = parsed.data;
  return { kind: "form", sessionId: session, toolCallId: toolCallId ?? undefined, message, questions };
}

const nameOf = (key: string, { title }: Property) => title || key;

/** AskUserQuestion's input. */
export const asInput = (questions: AcpForm["questions"]): Json => ({
  questions: questions.map(({ question, header, isMany, options }) => ({
    ...{ question, header, multiSelect: isMany },
    options: options.map(({ label, description }) => ({ label, description })),
  })),
});

/** What the answers say, and the questions that they answer with what they cannot be. */
export function fillIn(
  questions: AcpForm["questions"],
  answers: Json | undefined,
): { content: AcpContent; wrong: { asked: AsQuestion; why: string }[] } {
  const said = new Map(
    typeof answers === "object" && answers !== null && !Array.isArray(answers) ? Object.entries(answers) : [],
  );
  let content: AcpContent = {};
  const wrong: { asked: AsQuestion; why: string }[] = [];
  for (const asked of questions) {
    const words = said.get(asked.question);
    const filled = asked.fill(typeof words === "string" ? words.trim() : "");
    if ("wrong" in filled) wrong.push({ asked, why: filled.wrong });
    else content = { ...content, ...filled.content };
  }
  return { content, wrong };
}
