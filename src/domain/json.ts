import { z } from "zod";

/** Any JSON value: what an agent's tools take and give has no schema of ours. */
export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/**
 * For what JSON.parse has made, where every value is JSON: going through it once more would cost time, and a stack on
 * nesting without end. Only what is missing is refused.
 */
export const jsonSchema = z
  .unknown()
  .refine((value) => value !== undefined, "is missing") as unknown as z.ZodType<Json, Json>;
