import { expect, test } from "bun:test";
import { answerOf } from "./answer.ts";

const leave = { tool: "Bash", input: { command: "rm -rf build" } };
const choice = {
  tool: "AskUserQuestion",
  input: {
    questions: [
      { question: "Which database?", options: [{ label: "Postgres" }, { label: "SQLite" }] },
      { question: "What name?", options: [] },
    ],
  },
};

test("leave is given or refused in a word", () => {
  expect(answerOf(leave, ["yes"])).toEqual({ kind: "allow" });
  expect(answerOf(leave, ["N"], "Keep it")).toEqual({ kind: "deny", message: "Keep it" });
});

test("a number takes a choice, other words are the answer themselves", () => {
  expect(answerOf(choice, ["2", "main"])).toEqual({
    kind: "answers",
    answers: { "Which database?": "SQLite", "What name?": "main" },
  });
  expect(answerOf(choice, ["MySQL", "42"])).toEqual({
    kind: "answers",
    answers: { "Which database?": "MySQL", "What name?": "42" },
  });
});

test("an answer that does not fit is refused with the question itself", () => {
  expect(() => answerOf(leave, ["perhaps"])).toThrow(/Answer `yes` or `no`[\s\S]*rm -rf build/);
  expect(() => answerOf(leave, [])).toThrow(/Answer `yes` or `no`/);
  expect(() => answerOf(choice, ["1"])).toThrow(/Give 2 answers[\s\S]*1\. Postgres/);
  expect(() => answerOf(choice, ["7", "x"])).toThrow(/There is no choice 7/);
});
