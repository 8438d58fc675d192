import { expect, test } from "bun:test";
import Anthropic from "@anthropic-ai/sdk";
import type {
  Message,
  MessageTokensCount,
  RawMessageStreamEvent,
} from "@anthropic-ai/sdk/resources/messages";
import { startDemoModel } from "./serve-demo-model.ts";
import { type Answer, type AnswerEvent, eventsOf, messageOf } from "./wire.ts";

const answer: Answer = {
  messageId: "msg_1",
  toolIdBase: "ab",
  model: "claude-test",
  text: "Grüße 🙂, and enough words to be cut into pieces.",
  tools: [{ name: "Bash", input: { command: "echo ü" } }],
  inputTokens: 100,
  continued: false,
};

test("what is sent has the types that the vendor's SDK declares", () => {
  // Checked by the compiler: an event of ours that the vendor's types do not know is an error here.
  const events: RawMessageStreamEvent[] = [...eventsOf(answer)] satisfies AnswerEvent[];
  const message: Message = messageOf(answer);
  expect(events.map(({ type }) => type).filter((type) => type !== "content_block_delta")).toEqual([
    "message_start",
    "content_block_start",
    "content_block_stop",
    "content_block_start",
    "content_block_stop",
    "message_delta",
    "message_stop",
  ]);
  expect(message.stop_reason).toBe("tool_use");
});

test("the vendor's SDK puts a stream together to the same message as the plain answer", async () => {
  const demo = startDemoModel();
  try {
    const client = new Anthropic({ baseURL: demo.baseUrl, apiKey: demo.key, maxRetries: 0 });
    const request = {
      model: "claude-test",
      max_tokens: 100,
      tools: [{ name: "Bash", input_schema: { type: "object" as const } }],
      messages: [{ role: "user" as const, content: "demo: fix-test" }],
    };
    const streamed = await client.messages.stream(request).finalMessage();
    const plain = await client.messages.create(request);
    expect(streamed.content).toMatchObject([
      { type: "text", text: expect.stringContaining("demo model") },
      { type: "tool_use", name: "Bash", input: { command: expect.stringContaining("node --test") } },
    ]);
    const withoutIds = ({ content, stop_reason, usage }: Message) => [
      content.map((block) => ({ ...block, id: "" })),
      stop_reason,
      usage.output_tokens,
    ];
    expect(withoutIds(streamed)).toEqual(withoutIds(plain));
    expect(streamed.id).not.toBe(plain.id);

    const counted: MessageTokensCount = await client.messages.countTokens(request);
    expect(counted.input_tokens).toBeGreaterThan(10);
    const failing = client.messages.create({
      ...request,
      messages: [{ role: "user", content: "demo: fail" }],
    });
    expect(await rejection(failing)).toBeInstanceOf(Anthropic.BadRequestError);
    const stranger = new Anthropic({ baseURL: demo.baseUrl, apiKey: "x", maxRetries: 0 });
    expect(await rejection(stranger.messages.create(request))).toBeInstanceOf(Anthropic.AuthenticationError);
  } finally {
    await demo.close();
  }
});

function rejection(promise: PromiseLike<unknown>): PromiseLike<unknown> {
  return promise.then(
    () => undefined,
    (reason) => reason,
  );
}
