import { expect, test } from "bun:test";
import { pauseParts, pauseText } from "./steering-words.ts";

test("why a task is paused is said once", () => {
  const limit = "The usage limit of the model account is reached.";
  expect(pauseText({ why: "usage_limit", reason: limit })).toBe(limit);
  expect(pauseText({ why: "usage_limit", reason: `${limit} It is the weekly one.` })).toBe(
    "The usage limit of the model account is reached: It is the weekly one.",
  );
  expect(pauseParts({ why: "budget", reason: "The task has cost $2 of $1." })).toEqual({
    kind: "The budget is used up",
    more: "The task has cost $2 of $1.",
  });
});
