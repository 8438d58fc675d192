import { expect, test } from "bun:test";
import { aheadText, momentText } from "./time-words.ts";

const at = (time: string, now: string, zone: string) => momentText(Date.parse(time), Date.parse(now), zone);

test("today, tomorrow and other days are those of the zone", () => {
  expect(at("2026-11-21T23:30:00Z", "2026-11-21T12:00:00Z", "UTC")).toBe("today 23:30");
  expect(at("2026-11-21T23:30:00Z", "2026-11-21T12:00:00Z", "Europe/Berlin")).toBe("tomorrow 00:30");
  expect(at("2026-11-23T03:00:00Z", "2026-11-21T12:00:00Z", "UTC")).toBe("Mon 23 Nov 03:00");
  expect(at("2028-02-29T09:00:00Z", "2026-11-21T12:00:00Z", "UTC")).toBe("29 Feb 2028 09:00");
});

test("the day after is tomorrow at every hour, also where the night has 23 or 25 hours", () => {
  for (const day of ["2026-03-28", "2026-10-24", "2026-10-25"]) {
    for (const hour of ["01:10", "12:00", "21:50"]) {
      const now = Date.parse(`${day}T${hour}:00+02:00`);
      const next = new Date(Date.parse(`${day}T12:00:00Z`) + 24 * 3_600_000);
      expect(momentText(next.getTime(), now, "Europe/Berlin")).toStartWith("tomorrow");
    }
  }
});

test("how long it is", () => {
  expect([0, 40_000, 600_000, 9 * 3_600_000, 3 * 86_400_000].map(aheadText)).toEqual([
    "now",
    "in 40 s",
    "in 10 min",
    "in 9 h",
    "in 3 d",
  ]);
});
