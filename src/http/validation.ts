import type { z } from "@hono/zod-openapi";
import { CcwError } from "../domain/errors.ts";

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

/** What a schema says of itself stays; what the library says for it is put in words that a person understands. */
function reasonOf(issue: z.core.$ZodIssue): string {
  if (!/^(Too big|Too small|Invalid input|Invalid option): expected /.test(issue.message))
    return issue.message;
  switch (issue.code) {
    case "too_big":
      return `It ${amount(issue.origin, issue.inclusive === false ? "less than" : "at most", issue.maximum)}.`;
    case "too_small":
      if (issue.origin !== "number" && issue.minimum === 1) return "It is empty.";
      return `It ${amount(issue.origin, issue.inclusive === false ? "more than" : "at least", issue.minimum)}.`;
    case "invalid_value":
      return `It is one of: ${issue.values.map(String).join(", ")}.`;
    case "invalid_type":
      if (issue.message.endsWith("received undefined")) return "It is missing.";
      return `It is not ${typeNames[issue.expected] ?? `of the kind ${issue.expected}`}.`;
    default:
      return issue.message;
  }
}

function amount(origin: string, bound: string, limit: number | bigint): string {
  const unit = { string: "characters", array: "entries", set: "entries", map: "entries" }[origin];
  return unit === undefined ? `has to be ${bound} ${limit}` : `has to have ${bound} ${limit} ${unit}`;
}

const typeNames: Record<string, string> = {
  ...{ string: "text", number: "a number", int: "a whole number", boolean: "true or false" },
  ...{ array: "a list", object: "an object", record: "an object" },
};
