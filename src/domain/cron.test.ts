import { expect, test } from "bun:test";
import { momentOf, nextTimes } from "./cron.ts";

const berlin = (expression: string, after: string, count: number) =>
  nextTimes(expression, "Europe/Berlin", Date.parse(after), count).map((at) => new Date(at).toISOString());

test("a daily time follows its zone's clock through summer and winter", () => {
  expect(berlin("0 3 * * *", "2026-03-28T12:00:00Z", 2)).toEqual([
    "2026-03-29T01:00:00.000Z",
    "2026-03-30T01:00:00.000Z",
  ]);
  expect(berlin("0 3 * * *", "2026-10-24T12:00:00Z", 2)).toEqual([
    "2026-10-25T02:00:00.000Z",
    "2026-10-26T02:00:00.000Z",
  ]);
});

test("a time that the clock leaps over in spring is due when the gap ends, once", () => {
  expect(berlin("30 2 * * *", "2026-03-28T12:00:00Z", 2)).toEqual([
    "2026-03-29T01:00:00.000Z",
    "2026-03-30T00:30:00.000Z",
  ]);
});

test("a time that comes twice in autumn is due the first time alone, also where one asks between the two", () => {
  expect(berlin("30 2 * * *", "2026-10-24T12:00:00Z", 2)).toEqual([
    "2026-10-25T00:30:00.000Z",
    "2026-10-26T01:30:00.000Z",
  ]);
  expect(berlin("30 2 * * *", "2026-10-25T00:45:00Z", 1)).toEqual(["2026-10-26T01:30:00.000Z"]);
});

test("every half hour is every real half hour, through the hour that comes twice and the one that is left out", () => {
  for (const after of ["2026-10-24T23:00:00Z", "2026-03-28T23:00:00Z"]) {
    const times = nextTimes("*/30 * * * *", "Europe/Berlin", Date.parse(after), 10);
    expect(times.slice(1).map((at, index) => at - (times[index] ?? 0))).toEqual(Array(9).fill(1_800_000));
  }
});

test("29 February waits for a leap year, and the 30th never comes", () => {
  expect(berlin("0 9 29 2 *", "2026-03-01T00:00:00Z", 2)).toEqual([
    "2028-02-29T08:00:00.000Z",
    "2032-02-29T08:00:00.000Z",
  ]);
  expect(berlin("0 9 30 2 *", "2026-03-01T00:00:00Z", 2)).toEqual([]);
});

test("what is no pattern or no zone is told in words", () => {
  for (const wrong of ["", "x", "60 * * * *", "* * * * * *", "0 0 1 1 * 2030", "0 0 1 1".repeat(100)]) {
    expect(() => nextTimes(wrong, "UTC", 0, 1)).toThrow("is not a cron pattern");
  }
  expect(() => nextTimes("* * * * *", "Mars/Phobos", 0, 1)).toThrow('"Mars/Phobos" is not a time zone.');
});

test("what has not five fields is told how many it has", () => {
  expect(() => nextTimes("0 3 * *", "UTC", 0, 1)).toThrow(
    '"0 3 * *" is not a cron pattern: it has 4 fields, not five.',
  );
  expect(() => nextTimes("0 0 3 * * *", "UTC", 0, 1)).toThrow("it has 6 fields, not five.");
  expect(nextTimes(" @daily", "UTC", 0, 1)).toEqual([86_400_000]);
});

test("a local time is a moment of its zone", () => {
  expect(new Date(momentOf("2026-07-01 03:00", "Europe/Berlin")).toISOString()).toBe(
    "2026-07-01T01:00:00.000Z",
  );
  expect(new Date(momentOf("2026-01-01T03:00:05", "UTC")).toISOString()).toBe("2026-01-01T03:00:05.000Z");
  for (const wrong of ["tomorrow", "2026-13-01 03:00", "2027-02-29 03:00", "03:00", "* * * * *"])
    expect(() => momentOf(wrong, "UTC")).toThrow("is no time");
});
