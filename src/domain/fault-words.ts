import type { z } from "zod";

/** What a schema says of itself stays; what the library says for it is put in words that a person understands. */
export function reasonOf(issue: z.core.$ZodIssue): string {
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
