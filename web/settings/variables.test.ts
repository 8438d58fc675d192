import { expect, test } from "bun:test";
import { parseVariables } from "./variables.ts";

test("the .env format as people write it", () => {
  const typed = `# comment\n\nexport A=1\nB = two words # note\nC="x # \\"y\\"\\nz"\nD='$raw'\nE=a=b\nF=\n`;
  expect(parseVariables(typed)).toEqual({
    variables: { A: "1", B: "two words", C: 'x # "y"\nz', D: "$raw", E: "a=b", F: "" },
    problems: [],
  });
});

test("a line that is none is named with its number", () => {
  expect(parseVariables("A=1\nnot a variable\n1B=2").problems).toEqual([
    "Line 2 is not NAME=value: not a variable",
    "Line 3 is not NAME=value: 1B=2",
  ]);
});
