/** Days as people count them: midnight to midnight in one time zone, named `2026-11-21`. */
export interface Calendar {
  /** An IANA name, such as `UTC` or `Europe/Berlin`. */
  zone: string;
  /** The day of a time, in milliseconds since the epoch. */
  dayOf(at: number): string;
  /** When the day of that time is over. */
  endOfDay(at: number): number;
}

/** Every zone's midnight is a multiple of this. */
const quarter = 15 * 60_000;

/** Throws a RangeError where nobody knows the zone. */
export function createCalendar(zone: string): Calendar {
  // The one locale whose dates are ISO 8601 by themselves.
  const format = new Intl.DateTimeFormat("sv-SE", {
    timeZone: zone,
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
  });
  const dayOf = (at: number) => format.format(at);
  return {
    zone,
    dayOf,
    endOfDay(at) {
      const day = dayOf(at);
      let next = (Math.floor(at / quarter) + 1) * quarter;
      while (dayOf(next) === day) next += quarter;
      return next;
    },
  };
}
