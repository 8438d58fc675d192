import { expect, test } from "bun:test";
import { createUsageMeter } from "./usage-meter.ts";

const stream =
  'event: message_start\ndata: {"type":"message_start","message":{"model":"claude-ä-1","usage":{"input_tokens":7,' +
  '"cache_read_input_tokens":100,"cache_creation_input_tokens":20,"output_tokens":1}}}\n\n' +
  'event: content_block_delta\ndata: {"type":"content_block_delta","delta":{"text":"ü \\"message_delta\\" 🙂"}}\n\n' +
  'event: message_delta\ndata: {"type":"message_delta","usage":{"output_tokens":12}}\n\n' +
  'event: message_delta\r\ndata: {"type":"message_delta","usage":{"input_tokens":9,"output_tokens":42}}\r\n\r\n' +
  'event: message_stop\ndata: {"type":"message_stop"}\n\n';

const counted = {
  model: "claude-ä-1",
  inputTokens: 9,
  outputTokens: 42,
  cacheReadTokens: 100,
  cacheWriteTokens: 20,
};

test("the same usage is counted wherever a stream is split in two", () => {
  const bytes = Buffer.from(stream);
  for (let at = 0; at <= bytes.length; at++) {
    const meter = createUsageMeter("text/event-stream; charset=utf-8");
    meter.write(bytes.subarray(0, at));
    meter.write(bytes.subarray(at));
    expect(meter.usage()).toEqual(counted);
    expect(meter.betweenEvents()).toBe(true);
  }
});

test("a stream that comes byte by byte, in memory that is used again, is counted", () => {
  const meter = createUsageMeter("text/event-stream");
  const one = Buffer.alloc(1);
  for (const byte of Buffer.from(stream)) {
    one[0] = byte;
    meter.write(one);
  }
  expect(meter.usage()).toEqual(counted);
});

test("of a stream that breaks off, what it had said is counted", () => {
  const meter = createUsageMeter("text/event-stream");
  meter.write(Buffer.from(stream.slice(0, stream.indexOf("event: content_block_delta") + 20)));
  expect(meter.usage()).toMatchObject({ inputTokens: 7, outputTokens: 1 });
  expect(meter.betweenEvents()).toBe(false);
});

test("a plain JSON answer is counted, split anywhere", () => {
  const json = Buffer.from(
    JSON.stringify({ model: "m", usage: { input_tokens: 3, output_tokens: 4 } }, null, 2),
  );
  for (let at = 0; at <= json.length; at++) {
    const meter = createUsageMeter("application/json");
    meter.write(json.subarray(0, at));
    meter.write(json.subarray(at));
    expect(meter.usage()).toMatchObject({ model: "m", inputTokens: 3, outputTokens: 4 });
  }
});

test("an endless line is skipped in bounded memory, and what follows is counted", () => {
  const meter = createUsageMeter("text/event-stream");
  meter.write(Buffer.from('data: {"type":"message_start",'));
  const before = process.memoryUsage.rss();
  const chunk = Buffer.alloc(256 * 1024, "x");
  for (let i = 0; i < 400; i++) meter.write(chunk);
  expect(process.memoryUsage.rss() - before).toBeLessThan(40 * 1024 * 1024);
  meter.write(Buffer.from('\n\ndata: {"type":"message_delta","usage":{"output_tokens":5}}\n\n'));
  expect(meter.usage().outputTokens).toBe(5);
});

test("numbers that make no sense are not counted", () => {
  const meter = createUsageMeter("text/event-stream");
  meter.write(Buffer.from('data: {"type":"message_delta","usage":{"output_tokens":-5}}\n\n'));
  meter.write(
    Buffer.from(
      'data: {"type":"message_delta","usage":{"output_tokens":1.5}}\n\ndata: {broken message_delta"}\n\n',
    ),
  );
  expect(meter.usage().outputTokens).toBe(0);
});
