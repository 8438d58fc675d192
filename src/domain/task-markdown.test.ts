import { expect, test } from "bun:test";
import { markdownFormat } from "./task-markdown.ts";

const shown = (text: string) => markdownFormat.part({ kind: "text", text });

test("what an agent wrote brings no tag and no picture, escaped before or not", () => {
  for (const text of ["<img src=x>", "![x](http://evil.example/x)", "</div>", "<!-- x", "<?php"]) {
    for (const slashes of ["", "\\", "\\\\", "\\\\\\"]) {
      // CommonMark 0.31, 2.4: an odd number of backslashes takes its meaning from what follows.
      const [, before = ""] = /(\\*)[<!]/.exec(shown(`say ${slashes}${text}`)) ?? [];
      expect([slashes.length, before.length % 2]).toEqual([slashes.length, 1]);
    }
  }
  expect(shown("a < b, a! and \\* stay")).toBe("> a < b, a! and \\* stay\n\n");
});
