import { expect, test } from "bun:test";
import { diffLines } from "../domain/diff-lines.ts";
import { facts, jsonText, paint, table } from "./output.ts";

test("columns stand under each other, wide characters counted as two", () => {
  expect(
    table(
      ["ID", "TITLE", "AGE"],
      [
        ["1", "日本", "5m"],
        ["22", "abc", "1d"],
      ],
      { width: undefined },
    ),
  ).toBe("ID  TITLE  AGE\n1   日本   5m\n22  abc    1d\n");
});

test("in a terminal the long column gives way, so that a row stays on one line", () => {
  const text = table(["ID", "TITLE", "AGE"], [["1", "世".repeat(50), "5m"]], { width: 40, shrink: "TITLE" });
  for (const line of text.trimEnd().split("\n")) expect(Bun.stringWidth(line)).toBeLessThanOrEqual(40);
  expect(text).toContain("…");
});

test("a cell cannot break the table or speak to the terminal", () => {
  expect(table(["TITLE"], [["a\nb\x1b[2J"]], { width: undefined })).toBe("TITLE\na b␛[2J\n");
});

test("facts keep lines of a value together and leave out what is empty", () => {
  expect(
    facts([
      ["Name", "x"],
      ["Empty", ""],
      ["Script", "a\nb"],
    ]),
  ).toBe("Name    x\nScript  a\n        b\n");
});

test("JSON comes back as it was, and shows a terminal nothing to obey", () => {
  const value = { text: "\x1b[2J\u009b\u202e\u{e0041}ü" };
  const text = jsonText(value);
  expect(JSON.parse(text)).toEqual(value);
  expect(text.trimEnd()).not.toMatch(/\p{Cc}|\p{Cf}/u);
  expect(text).toContain("ü");
});

test("colours appear only where they are wanted", () => {
  expect(paint({ tone: "bad", text: "no" }, true)).toBe("\x1b[31mno\x1b[0m");
  expect(paint({ tone: "bad", text: "no" }, false)).toBe("no");
});

test("a diff in a terminal shows what stands in the files, and obeys none of it", () => {
  expect(diffLines("--- a\n+++ b\n@@ -1 +1 @@\n-old\n+new\x1b[2J\n")).toEqual([
    { tone: "strong", text: "--- a" },
    { tone: "strong", text: "+++ b" },
    { tone: "tool", text: "@@ -1 +1 @@" },
    { tone: "bad", text: "-old" },
    { tone: "good", text: "+new␛[2J" },
  ]);
  expect(diffLines("")).toEqual([]);
});
