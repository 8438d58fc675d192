import { z } from "zod";
import type { Conversation, ModelStep } from "./conversation.ts";
import { resultOf, scenarioToolOf } from "./responses-tools.ts";

/** What a request to the Responses API says, as the scenarios read it. Written for the requests that Codex sends. */

const part = z.union([
  z.object({ type: z.enum(["input_text", "output_text", "text"]), text: z.string() }),
  z.object({ type: z.string() }).transform(() => ({ type: "other" as const, text: "" })),
]);
const content = z
  .union([z.string(), z.array(part)])
  .transform((given) => (typeof given === "string" ? [given] : given.map(({ text }) => text)));

interface OfferedTool {
  name?: string | undefined;
  tools?: OfferedTool[] | undefined;
}
const tools: z.ZodType<OfferedTool[]> = z.lazy(() =>
  z.array(z.object({ name: z.string().optional(), tools: tools.optional() })),
);

const item = z.union([
  z.object({ type: z.literal("message"), role: z.string(), content }),
  z.object({ type: z.literal("function_call"), call_id: z.string(), name: z.string() }),
  z
    .object({
      type: z.literal("function_call_output"),
      call_id: z.string(),
      output: content,
    })
    .transform(({ output, ...rest }) => ({ ...rest, content: output })),
  z.object({ type: z.literal("additional_tools"), tools }),
  z.object({ role: z.string(), content }).transform((given) => ({ ...given, type: "message" as const })),
  z.object({ type: z.string() }).transform(() => ({ type: "other" as const })),
]);
type Item = z.infer<typeof item>;

export const responsesRequestSchema = z.object({
  model: z.string().min(1),
  input: z
    .union([z.string(), z.array(item)])
    .transform((given): Item[] =>
      typeof given === "string" ? [{ type: "message", role: "user", content: [given] }] : given,
    ),
  tools: tools.default([]),
  stream: z.boolean().default(false),
  prompt_cache_key: z.string().nullish(),
});

export function readResponses(request: z.infer<typeof responsesRequestSchema>): Conversation {
  const offered = [
    ...request.tools,
    ...request.input.flatMap((each) => (each.type === "additional_tools" ? each.tools : [])),
  ];
  return {
    model: request.model,
    stream: request.stream,
    session: request.prompt_cache_key ?? "",
    tools: new Map(
      namesIn(offered).flatMap((name) => {
        const meant = scenarioToolOf(name);
        return meant === undefined ? [] : [[meant, []]];
      }),
    ),
    folder: request.input
      .flatMap((each) => (each.type === "message" ? each.content : []))
      .map((text) => /<cwd>(\/[^<]*)<\/cwd>/.exec(text)?.[1])
      .findLast((found) => found !== undefined),
    messageCount: request.input.length,
    ...lastTurn(request.input),
  };
}

function namesIn(offered: OfferedTool[]): string[] {
  return offered.flatMap(({ name, tools: inner }) => [
    ...(name === undefined ? [] : [name]),
    ...namesIn(inner ?? []),
  ]);
}

/** What Codex itself puts into the user's mouth, all of it within tags or under a heading of its own. */
const ownWords = /^<([\w-]+)>[\s\S]*<\/\1>$|^# AGENTS\.md instructions/;
const interrupted = /<turn_aborted>/;
/** What the guest says when a turn that was cut off goes on. */
const goesOn = /^Continue from where you left off\.$/;

function lastTurn(items: Item[]): Pick<Conversation, "prompt" | "prompts" | "steps"> {
  const prompts: string[] = [];
  let prompt = "";
  let steps: ModelStep[] = [];
  /** Whether the model has the word: then a user's message is told within the turn, and begins none. */
  let isWorking = false;
  let saysMore = false;
  const names = new Map<string, string>();
  const stepNow = () => {
    const step = saysMore ? steps.at(-1) : undefined;
    if (step !== undefined) return step;
    const made: ModelStep = { text: "", uses: [] };
    steps.push(made);
    saysMore = true;
    return made;
  };
  for (const each of items) {
    if (each.type === "message" && each.role === "assistant") {
      stepNow().text += each.content.join("");
      isWorking = false;
    } else if (each.type === "function_call") {
      names.set(each.call_id, each.name);
      stepNow().uses.push({ id: each.call_id, name: each.name, result: undefined });
      isWorking = true;
    } else if (each.type === "function_call_output") {
      saysMore = false;
      const use = steps.flatMap(({ uses }) => uses).find(({ id }) => id === each.call_id);
      if (use !== undefined) use.result = resultOf(names.get(each.call_id) ?? "", each.content.join("\n"));
    } else if (each.type === "message") {
      saysMore = false;
      // In the user's name, or, where a command was cut off, in the developer's.
      if (each.content.some((text) => interrupted.test(text))) isWorking = false;
      if (each.role !== "user") continue;
      const asked = each.content
        .map((text) => text.trim())
        .filter((text) => text !== "" && !ownWords.test(text) && !goesOn.test(text))
        .join("\n");
      if (asked === "" || isWorking) continue;
      prompts.push(asked);
      prompt = asked;
      steps = [];
    }
  }
  return { prompts, prompt, steps };
}
