import { expect, test } from "bun:test";
import { timeText } from "./schedule-show.ts";

test("when a schedule is due is told with the zone of the clock", () => {
  const zone = "Asia/Tokyo";
  expect(timeText({ time: { kind: "cron", expression: "0 3 * * *", zone } })).toBe("0 3 * * * Asia/Tokyo");
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const at = new Date("2038-01-05T09:00").getTime();
  expect(timeText({ time: { kind: "once", at } })).toBe(`once, 5 Jan 2038 09:00 ${own}`);
});
