import type { z } from "@hono/zod-openapi";
import { CcwError } from "../domain/errors.ts";
import { reasonOf } from "../domain/fault-words.ts";

/** More than anybody mends in one go; a list may have a thousand lines. */
const maxTold = 20;

/** Turns a failed validation into one line for each fault, which names the field; all at once, so that all are mended at once. */
export function rejectInvalid<Ok extends { success: true }>(
  result: Ok | { success: false; error: z.core.$ZodError },
): asserts result is Ok {
  if (result.success) return;
  const { issues } = result.error;
  const told = issues.slice(0, maxTold).map(faultText);
  if (issues.length > maxTold) told.push(`… and ${issues.length - maxTold} more.`);
  throw new CcwError("invalid", told.join("\n") || "The request is not valid.");
}

function faultText(issue: z.core.$ZodIssue): string {
  // A bad key of a record says only that it is bad; the reason stands one level down.
  const reason = (issue.code === "invalid_key" ? issue.issues[0]?.message : undefined) ?? reasonOf(issue);
  const field = issue.path.join(".");
  return (field === "" ? reason : `${field}: ${reason}`).replace(/\s*\n\s*/g, " ");
}
