import type { z } from "@hono/zod-openapi";
import { CcwError } from "../domain/errors.ts";

/** Turns a failed validation into one sentence that names the field. */
export function rejectInvalid(result: { success: true } | { success: false; error: z.core.$ZodError }): void {
  if (result.success) return;
  const found = result.error.issues[0];
  // A bad key of a record says only that it is bad; the reason stands one level down.
  const reason = found?.code === "invalid_key" ? found.issues[0]?.message : found?.message;
  const field = found?.path.join(".") ?? "";
  const words = reason ?? "The request is not valid.";
  throw new CcwError("invalid", field === "" ? words : `${field}: ${words}`);
}
