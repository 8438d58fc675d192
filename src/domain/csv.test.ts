import { expect, test } from "bun:test";
import { csvText } from "./csv.ts";

test("cells are quoted where they have to be", () => {
  expect(
    csvText([
      ["a", 1, -2.5],
      ['say "hi", now', "two\nlines", ""],
    ]),
  ).toBe('a,1,-2.5\r\n"say ""hi"", now","two\nlines",\r\n');
});

test.each(["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\u200b=1", "＝1", "%0A=1", "|cmd"])(
  "%j is no formula",
  (text) => {
    expect(csvText([[text]])).toMatch(/^"?'/);
  },
);
