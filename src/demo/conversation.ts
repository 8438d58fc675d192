import { z } from "zod";

/**
 * What a request to the Messages API says, as the scenarios read it: the last thing a person asked, and what was
 * said and done since. Written for the requests that the Claude Code CLI sends.
 */
export interface Conversation {
  model: string;
  stream: boolean;
  /** Tells one conversation from another; the agent's session where it names one. */
  session: string;
  /** The last prompt of a person, without what the agent wraps around it. */
  prompt: string;
  /** All prompts of the conversation, the last one included. */
  prompts: string[];
  /** The model's own messages since that prompt, with what their tools answered. */
  steps: ModelStep[];
  /** The names of the tools on offer, and what each is given. */
  tools: ReadonlyMap<string, readonly string[]>;
  /** The agent's working folder, where its system prompt names it. */
  folder: string | undefined;
  messageCount: number;
}

export interface ModelStep {
  text: string;
  uses: ToolExchange[];
}

interface ToolExchange {
  id: string;
  name: string;
  /** Undefined until the agent reports. */
  result: { text: string; isError: boolean } | undefined;
}

const textBlock = z.object({ type: z.literal("text"), text: z.string() });
const otherBlock = z.object({ type: z.string() }).transform(() => ({ type: "other" as const }));
const contentBlock = z.union([
  textBlock,
  z.object({ type: z.literal("tool_use"), id: z.string(), name: z.string() }),
  z.object({
    type: z.literal("tool_result"),
    tool_use_id: z.string(),
    content: z.union([z.string(), z.array(z.union([textBlock, otherBlock]))]).default(""),
    is_error: z.boolean().default(false),
  }),
  otherBlock,
]);

const asBlocks = <Block>(content: string | Block[]) =>
  typeof content === "string" ? [{ type: "text" as const, text: content }] : content;

const messageSchema = z.object({
  role: z.enum(["user", "assistant", "system"]),
  content: z.union([z.string(), z.array(contentBlock)]).transform(asBlocks),
});

/** The body of `/v1/messages/count_tokens`, and what both requests have in common. */
export const countTokensSchema = z.object({
  model: z.string().min(1),
  messages: z.array(messageSchema).min(1),
  system: z
    .union([z.string(), z.array(z.union([textBlock, otherBlock]))])
    .default("")
    .transform(asBlocks),
  tools: z
    .array(
      z.object({
        name: z.string(),
        input_schema: z
          .object({ properties: z.record(z.string(), z.unknown()) })
          .transform(({ properties }) => Object.keys(properties))
          .catch([]),
      }),
    )
    .default([]),
});

export const messagesRequestSchema = countTokensSchema.extend({
  max_tokens: z.number().int().positive(),
  stream: z.boolean().default(false),
  metadata: z.object({ user_id: z.string().nullish() }).default({}),
});
type MessagesRequest = z.infer<typeof messagesRequestSchema>;
type Message = z.infer<typeof messageSchema>;
type Block = Message["content"][number];

export function readConversation(request: MessagesRequest): Conversation {
  const { prompts, prompt, steps } = lastTurn(request.messages);
  const system = request.system.map((block) => (block.type === "text" ? block.text : "")).join("\n");
  return {
    model: request.model,
    stream: request.stream,
    session: request.metadata.user_id ?? "",
    prompts,
    prompt,
    steps,
    tools: new Map(request.tools.map((tool) => [tool.name, tool.input_schema])),
    folder: /^ ?-? ?Primary working directory: (\/.*)$/m.exec(system)?.[1],
    messageCount: request.messages.length,
  };
}

function lastTurn(messages: Message[]): { prompts: string[]; prompt: string; steps: ModelStep[] } {
  const prompts: string[] = [];
  let prompt = "";
  let steps: ModelStep[] = [];
  let previous: Message["role"] | undefined;
  for (const { role, content } of messages) {
    // The agent puts its own notes into the middle of the conversation; they are nobody's turn.
    if (role === "system") continue;
    if (role === "assistant") {
      const last = steps.at(-1);
      const step = previous === "assistant" && last !== undefined ? last : { text: "", uses: [] };
      if (step !== last) steps.push(step);
      addToStep(step, content);
    } else {
      addResults(steps, content);
      const asked = promptIn(content);
      if (asked !== "") {
        prompts.push(asked);
        prompt = previous === "user" && steps.length === 0 && prompt !== "" ? `${prompt}\n${asked}` : asked;
        steps = [];
      }
    }
    previous = role;
  }
  return { prompts, prompt, steps };
}

function addToStep(step: ModelStep, content: Block[]): void {
  for (const block of content) {
    if (block.type === "text") step.text += block.text;
    if (block.type === "tool_use") step.uses.push({ id: block.id, name: block.name, result: undefined });
  }
}

function addResults(steps: ModelStep[], content: Block[]): void {
  const uses = steps.flatMap((step) => step.uses);
  for (const block of content) {
    if (block.type !== "tool_result") continue;
    const use = uses.find((candidate) => candidate.id === block.tool_use_id);
    if (use === undefined) continue;
    const text =
      typeof block.content === "string"
        ? block.content
        : block.content.map((part) => (part.type === "text" ? part.text : "")).join("\n");
    use.result = { text, isError: block.is_error };
  }
}

const interrupted = /^\[Request interrupted by user/;
/** What the agent itself says when it takes an interrupted turn up again; the turn goes on. */
const goesOn = /^Continue from where you left off\.?$/;

/**
 * A person's words in a user message, or "". Beside tool results the agent also sends notes of its own as text, so
 * there words count only after an interruption, where the next prompt is merged into the same message.
 */
function promptIn(content: Block[]): string {
  const texts = content
    .flatMap((block) => (block.type === "text" ? [block.text] : []))
    .map((text) => text.replace(/<system-reminder>[\s\S]*?<\/system-reminder>/g, "").trim())
    .filter((text) => text !== "");
  const carriesResults = content.some((block) => block.type === "tool_result");
  if (carriesResults && !texts.some((text) => interrupted.test(text))) return "";
  return texts.filter((text) => !interrupted.test(text) && !goesOn.test(text)).join("\n");
}
