import { expect, test } from "bun:test";
import { createLineSplitter } from "./lines.ts";

const bytes = (text: string) => Buffer.from(text);

test("lines are whole however the stream is cut, inside a character too", () => {
  const text = "first\nsécond\n\nlast";
  for (let cut = 0; cut <= bytes(text).length; cut++) {
    const splitter = createLineSplitter(100);
    const lines = [
      ...splitter.push(bytes(text).subarray(0, cut)),
      ...splitter.push(bytes(text).subarray(cut)),
    ];
    expect(lines).toEqual(["first", "sécond", ""]);
    expect(splitter.rest()).toBe("last");
    expect(splitter.rest()).toBeUndefined();
  }
});

test("a line over the cap is dropped and counted, and the next one is whole again", () => {
  const splitter = createLineSplitter(10);
  expect(splitter.push(bytes("12345678901\nshort\n"))).toEqual(["short"]);
  expect(splitter.takeDropped()).toBe(1);
  expect(splitter.push(bytes("1234567890\n"))).toEqual(["1234567890"]);
  expect(splitter.takeDropped()).toBe(0);
});

test("an endless line takes no memory", () => {
  const splitter = createLineSplitter(1000);
  const block = Buffer.alloc(1024 * 1024, "x");
  const before = process.memoryUsage.rss();
  for (let i = 0; i < 500; i++) splitter.push(block);
  expect(process.memoryUsage.rss() - before).toBeLessThan(50 * 1024 * 1024);
  expect(splitter.push(bytes("\nnext\n"))).toEqual(["next"]);
});
