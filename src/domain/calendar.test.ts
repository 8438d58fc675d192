import { expect, test } from "bun:test";
import { createCalendar } from "./calendar.ts";

test.each([
  ["UTC", "2026-11-21T23:59:59Z", "2026-11-21", "2026-11-22T00:00:00Z"],
  ["Europe/Berlin", "2026-11-21T23:00:00Z", "2026-11-22", "2026-11-22T23:00:00Z"],
  // Clocks go forward in that night, and back in this one.
  ["Europe/Berlin", "2026-03-29T00:30:00Z", "2026-03-29", "2026-03-29T22:00:00Z"],
  ["Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-25", "2026-10-25T23:00:00Z"],
  ["Asia/Kathmandu", "2026-11-21T18:14:59Z", "2026-11-21", "2026-11-21T18:15:00Z"],
])("in %s %s is of the day %s, which ends at %s", (zone, at, day, end) => {
  const calendar = createCalendar(zone);
  expect(calendar.dayOf(Date.parse(at))).toBe(day);
  expect(new Date(calendar.endOfDay(Date.parse(at)))).toEqual(new Date(end));
});

test("a zone that nobody knows is refused", () => {
  expect(() => createCalendar("Mars/Olympus")).toThrow(RangeError);
});
