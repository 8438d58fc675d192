import { z } from "zod";

/**
 * A record whose names follow rules of their own. Everything that is wrong in it is told at once, names beside values; a
 * record's own check of its keys would keep the reason to itself, and leave out the value.
 */
export function namedRecord<Value>(
  wrongName: (name: string) => string | undefined,
  value: z.ZodType<Value>,
): z.ZodType<Record<string, Value>> {
  return z.record(z.string(), z.unknown()).transform((given, context) => {
    const read: Record<string, Value> = {};
    for (const [name, each] of Object.entries(given)) {
      const path = [name.slice(0, 60)];
      const message = wrongName(name);
      if (message !== undefined) context.addIssue({ code: "custom", path, message });
      const parsed = value.safeParse(each);
      if (parsed.success) Object.defineProperty(read, name, { value: parsed.data, enumerable: true });
      else
        for (const issue of parsed.error.issues)
          context.addIssue({ code: "custom", path: [...path, ...issue.path], message: issue.message });
    }
    return read;
  });
}
