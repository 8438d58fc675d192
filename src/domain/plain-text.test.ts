import { expect, test } from "bun:test";
import fc from "../../test/properties.ts";
import { plainLine, plainText } from "./plain-text.ts";

test("what an ordinary text says stays as it is", () => {
  expect(plainText("Grüße, 世界 👩‍💻\n\tindented")).toBe("Grüße, 世界 👩‍💻\n    indented");
  expect(plainText("a\r\nb")).toBe("a\nb");
});

test("colours of tool output are left out", () => {
  expect(plainText("\x1b[1;32mok\x1b[0m 3 tests")).toBe("ok 3 tests");
});

test("sequences that move, clear, rename or link are shown, not obeyed", () => {
  expect(plainText("\x1b[2J\x1b[H")).toBe("␛[2J␛[H");
  expect(plainText("\x1b]0;owned\x07")).toBe("␛]0;owned␇");
  expect(plainText("\x1b]8;;http://evil/\x1b\\here")).toBe("␛]8;;http://evil/␛\\here");
  expect(plainText("safe\rrm -rf")).toBe("safe␍rm -rf");
  expect(plainText("\u009b31m")).toBe("<U+009B>31m");
});

test("characters that reorder or hide text are shown by their number", () => {
  expect(plainText("user\u202etxt.exe")).toBe("user<U+202E>txt.exe");
  expect(plainText("pass\u200bword")).toBe("pass<U+200B>word");
  expect(plainText("\u{e0041}")).toBe("<U+E0041>");
});

test("no text whatever leaves a control character behind, but new lines", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: "binary" }),
      fc.array(fc.constantFrom("\x1b", "[", "m", "0", "\x1b[0m")),
      (a, b) => {
        expect(plainText(b.join("") + a + b.reverse().join(""))).not.toMatch(
          /[^\P{Cc}\n]|[\u202a-\u202e\u2066-\u2069]/u,
        );
      },
    ),
  );
});

test("a title is one line", () => {
  expect(plainLine("  first\n  second\x1b[A ")).toBe("first second␛[A");
});
