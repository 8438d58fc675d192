import { z } from "zod";

/** Any JSON value: what an agent's tools take and give has no schema of ours. */
export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/** Deeper than anything honest, and far from where writing it as JSON again would exhaust the stack. */
const maxNesting = 500;

/** For what JSON.parse has made, where every value is JSON: only what is missing or nested without end is refused. */
export const jsonSchema = z
  .unknown()
  .refine((value) => value !== undefined, { error: "is missing", abort: true })
  .refine((value) => nestsWithin(value, maxNesting), {
    error: `is nested more than ${maxNesting} deep`,
    abort: true,
  }) as unknown as z.ZodType<Json, Json>;

/** Undefined where it is no JSON. */
export function parseJson(text: string | Uint8Array): unknown {
  try {
    return JSON.parse(typeof text === "string" ? text : new TextDecoder().decode(text));
  } catch {
    return undefined;
  }
}

function nestsWithin(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return true;
  return levels > 0 && Object.values(value).every((item) => nestsWithin(item, levels - 1));
}
