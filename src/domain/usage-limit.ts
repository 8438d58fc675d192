import type { UsageLimit } from "./ports.ts";

/** Shorter waits than this are the agent's own to sit out: it tries again up to ten times. */
const shortestParkMs = 10 * 60_000;
/** The longest window of a usage limit is seven days; what says more is not believed. */
const longestParkMs = 8 * 24 * 60 * 60_000;
/** For an endpoint that says "rejected" and not until when. */
const unknownParkMs = 60 * 60_000;

/**
 * Whether an answer says that the account has used what it may, and until when: a 429 whose
 * `anthropic-ratelimit-unified-status` is `rejected`, with the time in seconds since the epoch in `-reset`; or one whose
 * `retry-after` (RFC 9110, section 10.2.3: seconds or a date) is too long to wait for with a sandbox awake.
 */
export function usageLimitOf(
  status: number,
  headers: Readonly<Record<string, string | string[] | undefined>>,
  now: number,
): UsageLimit | undefined {
  if (status !== 429) return undefined;
  const header = (name: string) => [headers[name]].flat()[0] ?? "";
  const retryAt = retryTime(header("retry-after"), now);
  const within = (until: number) => Math.min(Math.max(until, now + 1000), now + longestParkMs);
  if (header("anthropic-ratelimit-unified-status") === "rejected") {
    const reset = Number(header("anthropic-ratelimit-unified-reset")) * 1000;
    const until = reset > now ? reset : (retryAt ?? now + unknownParkMs);
    // `five_hour` and `seven_day` are of the account, `seven_day_opus` and its like of one family of models.
    const claim = header("anthropic-ratelimit-unified-representative-claim");
    return { until: within(until), ofModel: /^seven_day_(?!overage)/.test(claim) };
  }
  if (retryAt === undefined || retryAt - now < shortestParkMs) return undefined;
  return { until: within(retryAt), ofModel: false };
}

function retryTime(text: string, now: number): number | undefined {
  if (/^\d{1,10}(\.\d+)?$/.test(text)) return now + Number(text) * 1000;
  const date = text === "" ? Number.NaN : Date.parse(text);
  return Number.isNaN(date) ? undefined : date;
}
