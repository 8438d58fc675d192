import { z } from "zod";

/** Any JSON value: what an agent's tools take and give has no schema of ours. */
export const jsonSchema = z.json();
export type Json = z.infer<typeof jsonSchema>;
