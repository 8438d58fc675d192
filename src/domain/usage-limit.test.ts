import { expect, test } from "bun:test";
import { usageLimitOf } from "./usage-limit.ts";

const now = 1_800_000_000_000;
const seconds = (ms: number) => String(Math.floor(ms / 1000));
const hour = 3_600_000;

test("a rejected account is parked until the time that the endpoint names", () => {
  const headers = {
    "anthropic-ratelimit-unified-status": "rejected",
    "anthropic-ratelimit-unified-reset": seconds(now + 3 * hour),
    "anthropic-ratelimit-unified-representative-claim": "five_hour",
    "retry-after": "10800",
  };
  expect(usageLimitOf(429, headers, now)).toEqual({ until: now + 3 * hour, ofModel: false });
  expect(usageLimitOf(200, headers, now)).toBeUndefined();
  expect(usageLimitOf(529, headers, now)).toBeUndefined();
  expect(
    usageLimitOf(
      429,
      { ...headers, "anthropic-ratelimit-unified-status": "allowed", "retry-after": "5" },
      now,
    ),
  ).toBeUndefined();
});

test("a limit of one family of models is told from one of the account", () => {
  const of = (claim: string) =>
    usageLimitOf(
      429,
      {
        "anthropic-ratelimit-unified-status": "rejected",
        "anthropic-ratelimit-unified-reset": seconds(now + hour),
        "anthropic-ratelimit-unified-representative-claim": claim,
      },
      now,
    )?.ofModel;
  expect(of("seven_day")).toBe(false);
  expect(of("seven_day_overage_included")).toBe(false);
  expect(of("seven_day_opus")).toBe(true);
});

test("without a time, or with one that makes no sense, retry-after counts, else an hour", () => {
  const rejected = { "anthropic-ratelimit-unified-status": "rejected" };
  expect(usageLimitOf(429, rejected, now)?.until).toBe(now + hour);
  expect(usageLimitOf(429, { ...rejected, "retry-after": "60" }, now)?.until).toBe(now + 60_000);
  for (const reset of ["soon", "-5", "1"]) {
    const headers = { ...rejected, "anthropic-ratelimit-unified-reset": reset };
    expect(usageLimitOf(429, headers, now)?.until).toBe(now + hour);
  }
  const far = { ...rejected, "anthropic-ratelimit-unified-reset": "99999999999999" };
  expect(usageLimitOf(429, far, now)?.until).toBe(now + 8 * 24 * hour);
});

test("a long retry-after parks, a short one is the agent's own to wait for", () => {
  expect(usageLimitOf(429, { "retry-after": "3600" }, now)?.until).toBe(now + hour);
  expect(usageLimitOf(429, { "retry-after": new Date(now + hour).toUTCString() }, now)?.until).toBe(
    now + hour,
  );
  expect(usageLimitOf(429, { "retry-after": "30" }, now)).toBeUndefined();
  expect(usageLimitOf(429, { "retry-after": "later" }, now)).toBeUndefined();
  expect(usageLimitOf(429, {}, now)).toBeUndefined();
});
