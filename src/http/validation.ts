import type { z } from "@hono/zod-openapi";
import { CcwError } from "../domain/errors.ts";

/** Turns a failed validation into one sentence that names the field. */
export function rejectInvalid(result: { success: true } | { success: false; error: z.core.$ZodError }): void {
  if (result.success) return;
  const issue = result.error.issues[0];
  const field = issue?.path.join(".") ?? "";
  throw new CcwError(
    "invalid",
    field === "" ? (issue?.message ?? "The request is not valid.") : `${field}: ${issue?.message}`,
  );
}
