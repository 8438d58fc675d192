import { expect, test } from "bun:test";
import { costOf, noTokens, priceOf, pricePatternSchema, priceSchema } from "./prices.ts";

const none = new Map();

test.each([
  ["claude-opus-4-8", 5],
  ["claude-opus-4-5-20251101", 5],
  ["claude-opus-4-20250514", 15],
  ["claude-opus-4-0", 15],
  ["claude-opus-4-1-20250805", 15],
  ["us.anthropic.claude-sonnet-4-5-20250929-v1:0", 3],
  ["claude-sonnet-4@20250514", 3],
  ["Claude-Haiku-4-5", 1],
  ["claude-3-5-haiku-latest", 0.8],
  ["claude-fable-5", 10],
])("the input of %s costs %d", (model, input) => {
  expect(priceOf(model, false, none)?.input).toBe(input);
});

test.each(["", "qwen3-coder", "claude-opus-4-9", "claude-opus-9", "claude-3-opus-20240229", "claude"])(
  "%p has no price, and none is made up",
  (model) => {
    expect(priceOf(model, false, none)).toBeUndefined();
    expect(priceOf(model, true, none)).toBeUndefined();
  },
);

test("fast mode has its own price where it is published, else the model's", () => {
  expect(priceOf("claude-opus-4-8", true, none)?.input).toBe(10);
  expect(priceOf("claude-opus-4-6", true, none)?.output).toBe(150);
  expect(priceOf("claude-haiku-4-5", true, none)?.input).toBe(1);
});

test("the operator's rows go before the built-in ones, the longest that fits first", () => {
  const own = new Map([
    ["*", priceSchema.parse({ input: 1, output: 2 })],
    ["claude-opus*", priceSchema.parse({ input: 7, output: 8 })],
    ["local/qwen", priceSchema.parse({ input: 0, output: 0 })],
  ]);
  expect(priceOf("claude-opus-4-8", false, own)?.input).toBe(7);
  expect(priceOf("claude-haiku-4-5", false, own)?.input).toBe(1);
  expect(priceOf("local/qwen", false, own)?.output).toBe(0);
  expect(priceOf("local/qwen2", false, own)?.output).toBe(2);
});

test("a row's cache prices follow from its input where they are not given", () => {
  expect(priceSchema.parse({ input: 3, output: 15 })).toEqual({
    input: 3,
    output: 15,
    cacheRead: 0.3,
    cacheWrite5m: 3.75,
    cacheWrite1h: 6,
    webSearch: 0.01,
  });
  expect(priceSchema.parse({ input: 3, output: 15, cache_read: 1, cache_write_1h: 9 })).toMatchObject({
    cacheRead: 1,
    cacheWrite5m: 3.75,
    cacheWrite1h: 9,
  });
  expect(priceSchema.safeParse({ input: 3 }).success).toBe(false);
  expect(priceSchema.safeParse({ input: -1, output: 1 }).success).toBe(false);
  expect(priceSchema.safeParse({ input: 1, output: 1, cached: 1 }).success).toBe(false);
  expect(pricePatternSchema.safeParse("=cmd()").success).toBe(false);
});

test("each kind of token has its price, and the sum is exact to the nano-dollar", () => {
  const price = priceSchema.parse({ input: 3, output: 15 });
  const counts = {
    inputTokens: 1_000_000,
    outputTokens: 1_000_000,
    cacheReadTokens: 1_000_000,
    cacheWriteTokens: 2_000_000,
    cacheWriteHourTokens: 1_000_000,
    webSearches: 2,
  };
  expect(costOf(counts, price)).toBe((3 + 15 + 0.3 + 3.75 + 6 + 0.02) * 1e9);
  expect(costOf({ ...noTokens, inputTokens: 1 }, price)).toBe(3000);
  expect(costOf({ ...noTokens, cacheReadTokens: 1 }, price)).toBe(300);
  // More for an hour than were written at all is no reason to charge less than nothing for the others.
  expect(costOf({ ...noTokens, cacheWriteTokens: 10, cacheWriteHourTokens: 99 }, price)).toBe(60_000);
});
