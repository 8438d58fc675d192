import { z } from "zod";
import type { Json } from "./json.ts";

/** A person's answer to what an agent asks: leave for a tool, or a choice for each question of AskUserQuestion. */
export const answerSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("allow") }),
  z.object({ kind: z.literal("deny"), message: z.string().max(20_000).default("The person said no.") }),
  z.object({
    kind: z.literal("answers"),
    /** By the question's own text, as the agent put it. */
    answers: z.record(z.string().max(20_000), z.string().max(20_000)),
  }),
]);
export type Answer = z.infer<typeof answerSchema>;

/** What is said to an agent whose questions a person will not answer. */
export const declined = "The person declined to answer.";

/** The answer as the Claude CLI's `can_use_tool` takes it; `input` is the question event's input. */
export function toPermissionResponse(input: Json, answer: Answer): Json {
  switch (answer.kind) {
    case "allow":
      // The guest puts in what the agent asked for: an event's copy of it may be cut.
      return { behavior: "allow" };
    case "deny":
      return { behavior: "deny", message: answer.message };
    case "answers": {
      const fields = typeof input === "object" && input !== null && !Array.isArray(input) ? input : {};
      return { behavior: "allow", updatedInput: { ...fields, answers: answer.answers } };
    }
  }
}
