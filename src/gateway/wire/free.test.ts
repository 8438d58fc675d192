import { expect, test } from "bun:test";
import { free } from "./free.ts";

test("a buffer is freed as a whole; a view of a part of one, and a small one, stay as they are", () => {
  const whole = new Uint8Array(10_000);
  const buffer = Buffer.alloc(10_000);
  const part = new Uint8Array(10_000).subarray(1);
  const small = new Uint8Array(100);
  for (const bytes of [whole, buffer, part, small]) free(bytes);
  expect([whole.length, buffer.length, part.length, small.length]).toEqual([0, 0, 9_999, 100]);
  free(whole);
});
