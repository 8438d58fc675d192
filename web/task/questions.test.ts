import { expect, test } from "bun:test";
import {
  answerInWords,
  answerOf,
  choicesIn,
  choicesText,
  noChoice,
  picked,
  questionsIn,
} from "./questions.ts";

test("an AskUserQuestion is read, with what it may leave out", () => {
  const input = {
    questions: [{ question: "Which?", options: [{ label: "A" }, { label: "B", description: "b" }] }],
  };
  expect(questionsIn("AskUserQuestion", input)).toEqual([
    {
      question: "Which?",
      header: "",
      options: [
        { label: "A", description: "" },
        { label: "B", description: "b" },
      ],
      multiSelect: false,
    },
  ]);
});

test("another tool, or an input of another shape, has no questions to choose from", () => {
  expect(questionsIn("Bash", { questions: [] })).toBeUndefined();
  expect(questionsIn("AskUserQuestion", { questions: "x" })).toBeUndefined();
});

test("one choice replaces the other; several are joined; free text counts", () => {
  expect(answerOf(picked(picked(noChoice, "A", false), "B", false))).toBe("B");
  const several = picked(picked(noChoice, "A", true), "B", true);
  expect(answerOf({ ...several, other: " mine " })).toBe("A, B, mine");
  expect(answerOf(picked(several, "A", true))).toBe("B");
  expect(answerOf({ labels: [], other: "  " })).toBe("");
});

test("what was picked is kept as text, and anything else is nothing", () => {
  const choices = new Map([
    ["Which?", { labels: ["A"], other: "mine" }],
    ["__proto__", noChoice],
  ]);
  expect(choicesIn(choicesText(choices))).toEqual(choices);
  for (const text of ["", "{", "{}", '[["Which?",1]]', '[["Which?",{"labels":[1]}]]'])
    expect(choicesIn(text).get("toString")).toBeUndefined();
});

test("what was answered is told in words", () => {
  expect(answerInWords({ behavior: "deny", message: "too risky" }).verdict).toBe("said no: too risky");
  expect(answerInWords({ behavior: "allow", updatedInput: { answers: { "Which?": "A" } } }).pairs).toEqual([
    ["Which?", "A"],
  ]);
  expect(answerInWords({ behavior: "allow", updatedInput: { command: "rm" } }).verdict).toBe("allowed it");
});
