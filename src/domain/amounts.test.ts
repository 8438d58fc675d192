import { expect, test } from "bun:test";
import { ageText, bytesText, countText, parseBytes, usdText } from "./amounts.ts";

test("sizes are read as container tools read them", () => {
  expect(["4GiB", "4G", "4g", "512m", "1.5k", "2048", "100b"].map(parseBytes)).toEqual([
    4294967296, 4294967296, 4294967296, 536870912, 1536, 2048, 100,
  ]);
  expect(parseBytes("4GB")).toBe(4_000_000_000);
  for (const wrong of ["", "lots", "4X", "-1G", "1e9", "4 GiBs", "0x10"])
    expect(parseBytes(wrong)).toBeUndefined();
});

test("sizes are shown so that they can be typed again", () => {
  for (const bytes of [4 * 1024 ** 3, 512 * 1024 ** 2, 1024, 7])
    expect(parseBytes(bytesText(bytes))).toBe(bytes);
});

test("ages and counts are short", () => {
  expect([-5, 59_999, 60_000, 7_200_000, 200_000_000].map(ageText)).toEqual(["0s", "59s", "1m", "2h", "2d"]);
  expect([0, 999, 1000, 12_345, 123_456, 999_999, 4_500_000].map(countText)).toEqual([
    "0",
    "999",
    "1.0k",
    "12.3k",
    "123k",
    "1.0M",
    "4.5M",
  ]);
});

test("money shows its cents, and more places where that is all there is", () => {
  expect([0, 1, 50_000, 12_340_000, 999_960_000, 1e9, 12.345e9].map(usdText)).toEqual([
    "$0.00",
    "<$0.0001",
    "$0.0001",
    "$0.0123",
    "$1.0000",
    "$1.00",
    "$12.35",
  ]);
});
