import { expect, test } from "bun:test";
import { plain, plainLine } from "./plain.ts";

test("colours, window titles and hyperlinks of a terminal are left out", () => {
  expect(plain("\x1b[31;1mred\x1b[0m \x1b]0;title\x07ok \x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\")).toBe(
    "red ok link",
  );
  expect(plain("\x9b2Jgone \x1bMup")).toBe("gone up");
});

test("a progress bar shows its last state", () => {
  expect(plain("10%\r50%\r100%\ndone\r\n")).toBe("100%\ndone\n");
});

test("characters that turn the direction of text are visible", () => {
  expect(plain("access\u202e txt.exe\u2066")).toBe("access⟦U+202E⟧ txt.exe⟦U+2066⟧");
});

test("invisible instructions in Unicode tags are visible", () => {
  expect(plain("hi\u{e0041}\u200b")).toBe("hi⟦U+E0041⟧⟦U+200B⟧");
});

test("other control characters are shown as their pictures, an unfinished escape too", () => {
  expect(plain("a\x00b\x07c\x7f\x1b[")).toBe("a␀b␇c␡␛[");
});

test("tabs, line breaks, accents and joined emoji stay as they are", () => {
  const text = "\tä\n👩‍💻 שלום";
  expect(plain(text)).toBe(text);
});

test("a name never breaks its line", () => {
  expect(plainLine("src/\n\tfake state: completed")).toBe("src/ fake state: completed");
});
