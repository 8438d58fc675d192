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
  cacheWriteHourTokens: 0,
  webSearches: 0,
  fast: false,
  besides: [],
};

test("the same usage is counted wherever a stream is split in two", () => {
  const bytes = Buffer.from(stream);
  for (let at = 0; at <= bytes.length; at++) {
    const meter = createUsageMeter("text/event-stream; charset=utf-8", "messages");
    meter.write(bytes.subarray(0, at));
    meter.write(bytes.subarray(at));
    expect(meter.usage()).toEqual(counted);
    expect(meter.betweenEvents()).toBe(true);
  }
});

test("a stream that comes byte by byte, in memory that is used again, is counted", () => {
  const meter = createUsageMeter("text/event-stream", "messages");
  const one = Buffer.alloc(1);
  for (const byte of Buffer.from(stream)) {
    one[0] = byte;
    meter.write(one);
  }
  expect(meter.usage()).toEqual(counted);
});

test("of a stream that breaks off, what it had said is counted", () => {
  const meter = createUsageMeter("text/event-stream", "messages");
  meter.write(Buffer.from(stream.slice(0, stream.indexOf("event: content_block_delta") + 20)));
  expect(meter.usage()).toMatchObject({ inputTokens: 7, outputTokens: 1 });
  expect(meter.betweenEvents()).toBe(false);
});

test("a plain JSON answer is counted, split anywhere", () => {
  const json = Buffer.from(
    JSON.stringify({ model: "m", usage: { input_tokens: 3, output_tokens: 4 } }, null, 2),
  );
  for (let at = 0; at <= json.length; at++) {
    const meter = createUsageMeter("application/json", "messages");
    meter.write(json.subarray(0, at));
    meter.write(json.subarray(at));
    expect(meter.usage()).toMatchObject({ model: "m", inputTokens: 3, outputTokens: 4 });
  }
});

test("an endless line is skipped in bounded memory, and what follows is counted", () => {
  const meter = createUsageMeter("text/event-stream", "messages");
  meter.write(Buffer.from('data: {"type":"message_start",'));
  const before = process.memoryUsage.rss();
  const chunk = Buffer.alloc(256 * 1024, "x");
  for (let i = 0; i < 400; i++) meter.write(chunk);
  expect(process.memoryUsage.rss() - before).toBeLessThan(40 * 1024 * 1024);
  meter.write(Buffer.from('\n\ndata: {"type":"message_delta","usage":{"output_tokens":5}}\n\n'));
  expect(meter.usage().outputTokens).toBe(5);
});

test("numbers that make no sense are not counted", () => {
  const meter = createUsageMeter("text/event-stream", "messages");
  meter.write(Buffer.from('data: {"type":"message_delta","usage":{"output_tokens":-5}}\n\n'));
  meter.write(
    Buffer.from(
      'data: {"type":"message_delta","usage":{"output_tokens":1.5}}\n\ndata: {broken message_delta"}\n\n',
    ),
  );
  expect(meter.usage().outputTokens).toBe(0);
});

function metered(...events: object[]) {
  const meter = createUsageMeter("text/event-stream", "messages");
  for (const event of events) meter.write(Buffer.from(`data: ${JSON.stringify(event)}\n\n`));
  return meter.usage();
}

test("both kinds of writing to the cache are told apart, searches and fast mode are seen", () => {
  const start = {
    model: "m",
    usage: {
      input_tokens: 3,
      cache_creation_input_tokens: 70,
      cache_read_input_tokens: 1000,
      cache_creation: { ephemeral_5m_input_tokens: 20, ephemeral_1h_input_tokens: 50 },
      output_tokens: 2,
      service_tier: "standard",
      speed: "fast",
      inference_geo: null,
    },
  };
  const end = { output_tokens: 90, server_tool_use: { web_search_requests: 2, web_fetch_requests: 1 } };
  expect(metered({ type: "message_start", message: start }, { type: "message_delta", usage: end })).toEqual({
    model: "m",
    inputTokens: 3,
    outputTokens: 90,
    cacheReadTokens: 1000,
    cacheWriteTokens: 70,
    cacheWriteHourTokens: 50,
    webSearches: 2,
    fast: true,
    besides: [],
  });
});

test("an end that says null or 0 takes back nothing of what came in", () => {
  const start = { model: "m", usage: { input_tokens: 3, cache_read_input_tokens: 5, output_tokens: 1 } };
  const end = {
    input_tokens: 0,
    cache_read_input_tokens: null,
    cache_creation_input_tokens: 0,
    output_tokens: 8,
  };
  expect(
    metered({ type: "message_start", message: start }, { type: "message_delta", usage: end }),
  ).toMatchObject({ inputTokens: 3, cacheReadTokens: 5, cacheWriteTokens: 0, outputTokens: 8 });
});

test("one field that makes no sense does not lose the others", () => {
  const start = {
    model: "m",
    usage: { input_tokens: 3, output_tokens: "many", cache_creation: 7, speed: {} },
  };
  expect(metered({ type: "message_start", message: start })).toMatchObject({
    inputTokens: 3,
    outputTokens: 0,
    fast: false,
  });
});

test("what stands beside the totals is counted by itself: a compaction, another model's advice", () => {
  const counts = { input_tokens: 100, output_tokens: 7, cache_read_input_tokens: 0, cache_creation: null };
  const usage = {
    input_tokens: 10,
    output_tokens: 5,
    iterations: [
      { type: "message", ...counts },
      { type: "compaction", ...counts, cache_creation_input_tokens: 0 },
      { type: "advisor_message", model: "claude-opus-4-8", ...counts, cache_creation_input_tokens: 2 },
    ],
  };
  const read = metered({ type: "message_delta", usage });
  expect(read).toMatchObject({ inputTokens: 10, outputTokens: 5 });
  expect(read.besides).toMatchObject([
    { model: "", inputTokens: 100, outputTokens: 7 },
    { model: "claude-opus-4-8", inputTokens: 100, cacheWriteTokens: 2 },
  ]);
});

test("whoever hangs up before the sum is said has used what went by", () => {
  const start = {
    type: "message_start",
    message: { model: "m", usage: { input_tokens: 3, output_tokens: 1 } },
  };
  const deltas = [
    { type: "text_delta", text: "x".repeat(4000) },
    { type: "thinking_delta", thinking: "x".repeat(400) },
    { type: "input_json_delta", partial_json: "x".repeat(40) },
    { type: "signature_delta", signature: "x".repeat(999) },
  ].map((delta) => ({ type: "content_block_delta", index: 0, delta }));
  expect(metered(start, ...deltas)).toMatchObject({ inputTokens: 3, outputTokens: 1110 });
  const end = { type: "message_delta", usage: { output_tokens: 900 } };
  expect(metered(start, ...deltas, end)).toMatchObject({ inputTokens: 3, outputTokens: 900 });
});
