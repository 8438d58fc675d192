import { z } from "zod";
import type { Json } from "../../src/domain/json.ts";

/** AskUserQuestion's input, as the agent's protocol has it. Anything else is shown as it is. */
const askSchema = z.object({
  questions: z
    .array(
      z.object({
        question: z.string(),
        header: z.string().default(""),
        options: z.array(z.object({ label: z.string(), description: z.string().default("") })).default([]),
        multiSelect: z.boolean().default(false),
      }),
    )
    .min(1),
});
export type Question = z.infer<typeof askSchema>["questions"][number];

export function questionsIn(tool: string, input: Json): Question[] | undefined {
  return tool === "AskUserQuestion" ? askSchema.safeParse(input).data?.questions : undefined;
}

const planSchema = z.object({ plan: z.string() });

/** The plan, in Markdown, that an agent in plan mode asks leave for. */
export function planIn(tool: string, input: Json): string | undefined {
  return tool === "ExitPlanMode" ? planSchema.safeParse(input).data?.plan : undefined;
}

const answerSchema = z.object({
  behavior: z.string(),
  message: z.string().default(""),
  updatedInput: z.object({ answers: z.record(z.string(), z.string()).default({}) }).optional(),
});

/** The answer as it went to the agent, in words. */
export function answerInWords(answer: Json): { verdict: string; pairs: [string, string][] } {
  const { data } = answerSchema.safeParse(answer);
  if (data === undefined) return { verdict: "answered", pairs: [] };
  if (data.behavior === "deny")
    return { verdict: data.message === "" ? "said no" : `said no: ${data.message}`, pairs: [] };
  const pairs = Object.entries(data.updatedInput?.answers ?? {});
  return { verdict: pairs.length === 0 ? "allowed it" : "answered", pairs };
}

/** What a person has picked for one question so far. */
export interface Choice {
  labels: readonly string[];
  /** Undefined while "Other" is not picked. */
  other: string | undefined;
}

const choicesSchema = z.array(
  z.tuple([
    z.string(),
    z
      .object({ labels: z.array(z.string()), other: z.string().optional() })
      .transform(({ labels, other }): Choice => ({ labels, other })),
  ]),
);

/** What was picked for each question, as `choicesText` has kept it; nothing where it is anything else. */
export function choicesIn(text: string): ReadonlyMap<string, Choice> {
  try {
    return new Map(choicesSchema.parse(JSON.parse(text)));
  } catch {
    return new Map();
  }
}

export function choicesText(choices: ReadonlyMap<string, Choice>): string {
  return JSON.stringify([...choices]);
}

export const noChoice: Choice = { labels: [], other: undefined };

/** The choice as the agent takes it: labels, or free text, joined by commas; empty while nothing was chosen. */
export function answerOf({ labels, other }: Choice): string {
  return [...labels, ...(other === undefined ? [] : [other.trim()])].filter((part) => part !== "").join(", ");
}

export function picked(choice: Choice, label: string, many: boolean): Choice {
  if (!many) return { labels: [label], other: undefined };
  const labels = choice.labels.includes(label)
    ? choice.labels.filter((other) => other !== label)
    : [...choice.labels, label];
  return { ...choice, labels };
}
