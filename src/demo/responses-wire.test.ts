import { expect, test } from "bun:test";
import OpenAI from "openai";
import type { Response, ResponseStreamEvent } from "openai/resources/responses/responses";
import { type ResponseEvent, responseEventsOf, responseOf } from "./responses-wire.ts";
import { startDemoModel } from "./serve-demo-model.ts";
import type { Answer } from "./wire.ts";

const answer: Answer = {
  messageId: "1",
  toolIdBase: "ab",
  model: "gpt-test",
  text: "Grüße 🙂, and enough words to be cut into pieces.",
  tools: [{ name: "Bash", input: { command: "echo ü" } }],
  inputTokens: 100,
  continued: false,
};

test("what is sent has the types that the vendor's SDK declares", () => {
  // Checked by the compiler: an event of ours that the vendor's types do not know is an error here.
  const events: ResponseStreamEvent[] = [...responseEventsOf(answer)] satisfies ResponseEvent[];
  const response: Response = responseOf(answer);
  expect(events.at(0)?.type).toBe("response.created");
  expect(events.at(-1)).toMatchObject({ type: "response.completed", response: { usage: response.usage } });
  expect(events.map(({ sequence_number }) => sequence_number)).toEqual([...events.keys()]);
});

test("the vendor's SDK puts a stream together to the same answer as the plain one", async () => {
  const demo = startDemoModel();
  try {
    const client = new OpenAI({ baseURL: `${demo.baseUrl}/v1`, apiKey: demo.key, maxRetries: 0 });
    const request = {
      model: "gpt-test",
      tools: [
        { type: "function" as const, name: "exec_command", parameters: { type: "object" }, strict: false },
      ],
      input: "demo: fix-test",
    };
    const streamed = await client.responses.stream(request).finalResponse();
    const plain = await client.responses.create(request);
    expect(streamed.output).toMatchObject([
      { type: "message", content: [{ type: "output_text", text: expect.stringContaining("demo model") }] },
      { type: "function_call", name: "exec_command", arguments: expect.stringContaining("node --test") },
    ]);
    expect(streamed.output_text).toBe(plain.output_text);
    expect(streamed.usage?.output_tokens).toBe(plain.usage?.output_tokens ?? 0);
    const failing = client.responses.create({ ...request, input: "demo: fail" });
    expect(
      await failing.then(
        () => undefined,
        (thrown: unknown) => thrown,
      ),
    ).toBeInstanceOf(OpenAI.BadRequestError);
  } finally {
    await demo.close();
  }
});
