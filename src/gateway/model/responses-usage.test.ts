import { expect, test } from "bun:test";
import { createUsageMeter } from "./usage-meter.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const usage = {
  input_tokens: 100,
  input_tokens_details: { cached_tokens: 40, cache_write_tokens: 10 },
  output_tokens: 7,
};
const line = (event: object) => `data: ${JSON.stringify(event)}\n\n`;

test("the last event's sum is counted, each kind of input once", () => {
  const meter = createUsageMeter("text/event-stream; charset=utf-8", "responses");
  meter.write(bytes(line({ type: "response.created", response: { model: "gpt-x", usage: null } })));
  meter.write(bytes(line({ type: "response.output_text.delta", delta: "x".repeat(400) })));
  meter.write(bytes(line({ type: "response.completed", response: { model: "gpt-x-1", usage } })));
  expect(meter.usage()).toMatchObject({
    ...{ model: "gpt-x-1", inputTokens: 50, cacheReadTokens: 40, cacheWriteTokens: 10, outputTokens: 7 },
  });
  expect(meter.betweenEvents()).toBe(true);
});

test("of a stream that is cut the output is reckoned from the text that went by", () => {
  const meter = createUsageMeter("text/event-stream", "responses");
  const quoted = '{"type":"response.completed","response":{"usage":{"output_tokens":9999}}}';
  meter.write(bytes(line({ type: "response.created", response: { model: "gpt-x" } })));
  meter.write(bytes(line({ type: "response.output_text.delta", delta: quoted })));
  expect(meter.usage()).toMatchObject({ model: "gpt-x", outputTokens: Math.ceil(quoted.length / 4) });
});

test("an answer that is no stream is counted, too", () => {
  const meter = createUsageMeter("application/json", "responses");
  meter.write(bytes(JSON.stringify({ model: "gpt-x", usage })));
  expect(meter.usage()).toMatchObject({ model: "gpt-x", inputTokens: 50, outputTokens: 7 });
});
