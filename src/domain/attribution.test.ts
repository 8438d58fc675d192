import { expect, test } from "bun:test";
import { attributionOf, usualAttribution } from "./attribution.ts";

const task = {
  person: { name: "Ada Lovelace", email: "ada@example.org" },
  agent: { name: "Claude", email: "noreply@anthropic.com" },
  url: "http://box:7080/tasks/tsk_1",
};

test("the person is the author, the agent co-author, and the task is named", () => {
  expect(attributionOf(usualAttribution, task)).toEqual({
    author: { name: "Ada Lovelace", email: "ada@example.org" },
    trailers: ["Co-authored-by: Claude <noreply@anthropic.com>", "Task: http://box:7080/tasks/tsk_1"],
  });
});

test("with the agent as author the person is co-author", () => {
  const { author, trailers } = attributionOf({ author: "agent", coAuthor: true, taskTrailer: false }, task);
  expect(author.name).toBe("Claude");
  expect(trailers).toEqual(["Co-authored-by: Ada Lovelace <ada@example.org>"]);
});

test("each line can be switched off", () => {
  expect(attributionOf({ author: "person", coAuthor: false, taskTrailer: false }, task).trailers).toEqual([]);
});

test("a person without an address has one that no mail goes to; what would end the field is dropped", () => {
  const { author } = attributionOf(usualAttribution, {
    ...task,
    person: { name: "Eve <x>\nCo-authored-by: Mallory", email: "" },
  });
  expect(author).toEqual({
    name: "Eve xCo-authored-by: Mallory",
    email: "Eve.xCo-authored-by.Mallory@ccw.invalid",
  });
});
