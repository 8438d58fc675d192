import type { TokenCounts } from "../../domain/prices.ts";

export interface Usage extends TokenCounts {
  /** As the answer names it; "" until it does. */
  model: string;
  fast: boolean;
  /** See MeteredRequest. */
  besides: (TokenCounts & { model: string })[];
}

/** What one API's answers say of usage. */
export interface UsageReader {
  /** The data of one event of a stream. */
  event(data: string): void;
  /** An answer that is no stream. */
  whole(json: string): void;
  usage(): Usage;
}

/** Characters of one token, more or less; as the vendors' documentation has it for English. */
export const tokenLength = 4;
