import { z } from "zod";

/**
 * What requests to a model cost. Prices are US dollars per million tokens, as they are published; amounts are whole
 * nano-dollars (1e-9 USD), so that sums are exact.
 */

/** What one answer says was used, in the words of the Messages API. */
export interface TokenCounts {
  inputTokens: number;
  outputTokens: number;
  cacheReadTokens: number;
  /** Written to the cache, of both kinds. */
  cacheWriteTokens: number;
  /** Those of them that are kept for an hour; the others are kept for five minutes. */
  cacheWriteHourTokens: number;
  /** Searches that the endpoint itself made on the web; they are priced one by one. */
  webSearches: number;
}

export const noTokens: Readonly<TokenCounts> = {
  inputTokens: 0,
  outputTokens: 0,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  cacheWriteHourTokens: 0,
  webSearches: 0,
};

export interface Price {
  input: number;
  output: number;
  cacheRead: number;
  cacheWrite5m: number;
  cacheWrite1h: number;
  /** US dollars for one search. */
  webSearch: number;
}

/** A model's name, in which `*` stands for any text. */
export type PriceTable = ReadonlyMap<string, Price>;

const perMillion = z.number("must be US dollars per million tokens").min(0).max(1_000_000);

/**
 * A row of `[prices]`. What it costs to write to the cache and to read from it follows from the price of input where
 * it is not given, by the factors that Anthropic publishes for all its models.
 */
export const priceSchema = z
  .strictObject({
    input: perMillion,
    output: perMillion,
    cache_read: perMillion.optional(),
    cache_write_5m: perMillion.optional(),
    cache_write_1h: perMillion.optional(),
    web_search: z.number("must be US dollars for one search").min(0).max(1000).optional(),
  })
  .transform((row): Price => {
    const price = published(row.input, row.output);
    return {
      ...price,
      cacheRead: row.cache_read ?? price.cacheRead,
      cacheWrite5m: row.cache_write_5m ?? price.cacheWrite5m,
      cacheWrite1h: row.cache_write_1h ?? price.cacheWrite1h,
      webSearch: row.web_search ?? price.webSearch,
    };
  });

export const pricePatternSchema = z
  .string()
  .regex(/^[A-Za-z0-9*][\w.:/@+*[\]-]{0,199}$/, "is not a model's name, in which * stands for any text");

/** Fast mode has prices of its own: it is looked up under the model's name with this behind it. */
const fastSuffix = "+fast";

/**
 * As Claude Code 2.1.197 has them in its own table, so that both count alike. A name may stand within a longer one: cloud
 * providers put their own words around it.
 */
const builtInPrices: PriceTable = new Map([
  ...rows(published(0.8, 4), "*claude-3-5-haiku*"),
  ...rows(published(1, 5), "*claude-haiku-4-5*"),
  ...rows(published(3, 15), "*claude-3-5-sonnet*", "*claude-3-7-sonnet*"),
  ...rows(
    published(3, 15),
    "claude-sonnet-4",
    "*claude-sonnet-4-0*",
    "*claude-sonnet-4-2025*",
    "*claude-sonnet-4@*",
  ),
  ...rows(published(3, 15), "*claude-sonnet-4-5*", "*claude-sonnet-4-6*", "*claude-sonnet-5*"),
  ...rows(
    published(15, 75),
    "claude-opus-4",
    "*claude-opus-4-0*",
    "*claude-opus-4-2025*",
    "*claude-opus-4@*",
  ),
  ...rows(published(15, 75), "*claude-opus-4-1*"),
  ...rows(
    published(5, 25),
    "*claude-opus-4-5*",
    "*claude-opus-4-6*",
    "*claude-opus-4-7*",
    "*claude-opus-4-8*",
  ),
  ...rows(published(10, 50), "*claude-fable-5*", "*claude-mythos-5*"),
  ...rows(published(30, 150), `*claude-opus-4-6*${fastSuffix}`, `*claude-opus-4-7*${fastSuffix}`),
  ...rows(published(10, 50), `*claude-opus-4-8*${fastSuffix}`),
]);

/** The price of a model: the operator's rows go before the built-in ones, and of several that fit the longest. */
export function priceOf(model: string, fast: boolean, own: PriceTable): Price | undefined {
  const names = fast ? [model + fastSuffix, model] : [model];
  for (const table of [own, builtInPrices]) {
    for (const name of names) {
      let best: [pattern: string, price: Price] | undefined;
      for (const row of table) {
        const fits = matches(row[0].toLowerCase(), name.toLowerCase());
        if (fits && (best === undefined || row[0].length > best[0].length)) best = row;
      }
      if (best !== undefined) return best[1];
    }
  }
  return undefined;
}

/** Nano-dollars. Of tokens that are said to be kept for an hour no more count than were written at all. */
export function costOf(counts: TokenCounts, price: Price): number {
  const hour = Math.min(counts.cacheWriteHourTokens, counts.cacheWriteTokens);
  // A dollar per million tokens is a thousand nano-dollars for one.
  const tokens =
    1000 *
    (counts.inputTokens * price.input +
      counts.outputTokens * price.output +
      counts.cacheReadTokens * price.cacheRead +
      (counts.cacheWriteTokens - hour) * price.cacheWrite5m +
      hour * price.cacheWrite1h);
  return Math.round(tokens + counts.webSearches * price.webSearch * 1e9);
}

export function isNothing(counts: TokenCounts): boolean {
  return Object.keys(noTokens).every((name) => counts[name as keyof TokenCounts] === 0);
}

function published(input: number, output: number): Price {
  const times = (factor: number) => Math.round(input * factor * 1e6) / 1e6;
  return {
    input,
    output,
    cacheRead: times(0.1),
    cacheWrite5m: times(1.25),
    cacheWrite1h: times(2),
    webSearch: 0.01,
  };
}

function rows(price: Price, ...patterns: string[]): [string, Price][] {
  return patterns.map((pattern) => [pattern, price]);
}

/** Without a regular expression, whose time could grow with what a sandbox names. */
function matches(pattern: string, name: string): boolean {
  const [first = "", ...rest] = pattern.split("*");
  if (!name.startsWith(first)) return false;
  if (rest.length === 0) return name === first;
  const last = rest.pop() ?? "";
  let at = first.length;
  for (const part of rest) {
    const found = name.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return name.length - last.length >= at && name.endsWith(last);
}
