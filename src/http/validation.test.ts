import { expect, test } from "bun:test";
import { z } from "@hono/zod-openapi";
import { rejectInvalid } from "./validation.ts";

const schema = z.object({
  name: z.string().max(3).optional(),
  cpus: z.number().min(0.1).optional(),
  count: z.coerce.number().int().optional(),
  hosts: z.array(z.string()).max(2).optional(),
  title: z.string().min(1).optional(),
  by: z.enum(["day", "task"]).optional(),
  url: z.string().regex(/^http/, "That is not an address.").optional(),
  id: z.string(),
});

test.each([
  [{ name: "long" }, "name: It has to have at most 3 characters."],
  [{ cpus: 0 }, "cpus: It has to be at least 0.1."],
  [{ count: "x" }, "count: It is not a number."],
  [{ count: 1.5 }, "count: It is not a whole number."],
  [{ hosts: ["a", "b", "c"] }, "hosts: It has to have at most 2 entries."],
  [{ title: "" }, "title: It is empty."],
  [{ by: "year" }, "by: It is one of: day, task."],
  [{ id: undefined }, "id: It is missing."],
  [{ id: null }, "id: It is not text."],
  [{ url: "x" }, "url: That is not an address."],
])("a fault is told in words that say what to write: %j", (wrong, words) => {
  expect(() => rejectInvalid(schema.safeParse({ id: "1", ...wrong }))).toThrow(words);
});
