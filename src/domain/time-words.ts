/** Moments ahead, as people say them, by the clock of a time zone; without one, by that of whoever looks. */

/** `today 14:05`, `tomorrow 03:00`, `Mon 23 Nov 03:00`, `29 Feb 2028 09:00`. */
export function momentText(at: number, now: number, timeZone?: string): string {
  const zone = timeZone === undefined ? {} : { timeZone };
  const format = (options: Intl.DateTimeFormatOptions, time = at) =>
    new Intl.DateTimeFormat("en-GB", { ...options, ...zone }).format(time).replace(",", "");
  const day = (time: number) => format({ year: "numeric", month: "numeric", day: "numeric" }, time);
  const clock = format({ hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  if (day(at) === day(now)) return `today ${clock}`;
  // A day may have 23 or 25 hours: from the middle of today it is tomorrow in any case.
  const hour = Number(format({ hour: "2-digit", hourCycle: "h23" }, now));
  if (day(at) === day(now + (36 - hour) * 3_600_000)) return `tomorrow ${clock}`;
  const near = Math.abs(at - now) < 180 * 24 * 3_600_000;
  const date = near
    ? format({ weekday: "short", day: "numeric", month: "short" })
    : format({ day: "numeric", month: "short", year: "numeric" });
  return `${date} ${clock}`;
}

/** `in 40 s`, `in 9 h`, `in 3 d`; `now` for what is due. */
export function aheadText(ms: number): string {
  if (ms < 1000) return "now";
  if (ms < 90_000) return `in ${Math.round(ms / 1000)} s`;
  if (ms < 90 * 60_000) return `in ${Math.round(ms / 60_000)} min`;
  if (ms < 36 * 3_600_000) return `in ${Math.round(ms / 3_600_000)} h`;
  return `in ${Math.round(ms / 86_400_000)} d`;
}
