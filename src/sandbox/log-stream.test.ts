import { expect, test } from "bun:test";
import { plainLog } from "./log-stream.ts";

function frame(stream: number, text: string): Buffer {
  const head = Buffer.alloc(8);
  head[0] = stream;
  head.writeUInt32BE(Buffer.byteLength(text), 4);
  return Buffer.concat([head, Buffer.from(text)]);
}

test("both streams become one text in order", () => {
  expect(
    plainLog(Buffer.concat([frame(1, "one\n"), frame(2, "zwei ü\n"), frame(1, "three")])).toString(),
  ).toBe("one\nzwei ü\nthree");
});

test("a log without frames, and one that was cut, lose nothing", () => {
  expect(plainLog(Buffer.from("plain text")).toString()).toBe("plain text");
  expect(plainLog(frame(1, "whole").subarray(0, 11)).toString()).toBe("who");
  expect(plainLog(Buffer.alloc(0)).length).toBe(0);
});
