import { expect, test } from "bun:test";
import { amount, counted, duration, timeAgo } from "./words.ts";

test("times and figures are short", () => {
  const hour = 3_600_000;
  expect([10, 120_000, 5 * hour, 72 * hour].map((ago) => timeAgo(1e12 - ago, 1e12))).toEqual([
    "just now",
    "2 min ago",
    "5 h ago",
    "3 d ago",
  ]);
  expect([420, 2300, 300_000].map(duration)).toEqual(["420 ms", "2.3 s", "5 min"]);
  expect([999, 1234, 45_678, 2_500_000].map(amount)).toEqual(["999", "1.2k", "46k", "2.5M"]);
  expect([counted(1, "file"), counted(1200, "file")]).toEqual(["1 file", "1,200 files"]);
});

test("a clock that runs behind the appliance's shows no negative time", () => {
  expect(timeAgo(2000, 1000)).toBe("just now");
});
