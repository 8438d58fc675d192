import { z } from "zod";
import { CcwError } from "../domain/errors.ts";

/** Settings that stand in ccw.toml or in an environment variable alike. */

export const httpUrl = z
  .url({ protocol: /^https?$/, error: "must be an http or https URL" })
  .transform((url) => url.replace(/\/+$/, ""));
export const port = z.coerce
  .number("must be a port number")
  .int("must be a port number")
  .min(0)
  .max(65535, "must be a port number");
export const idleMinutes = z.coerce
  .number()
  .min(0)
  .max(7 * 24 * 60);

/** Of the environment. */
export type Variables = Record<string, string | undefined>;

/** Undefined for what is not set; throws `invalid` with the name of the flag or variable. */
export function check<Value>(
  name: string,
  schema: z.ZodType<Value>,
  text: string | undefined,
): Value | undefined {
  if (text === undefined || text === "") return undefined;
  const parsed = schema.safeParse(text);
  if (parsed.success) return parsed.data;
  throw new CcwError(
    "invalid",
    `${name} ${parsed.error.issues[0]?.message ?? "is not valid"}: ${JSON.stringify(text.slice(0, 100))}.`,
  );
}
