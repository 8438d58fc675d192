import { Cron } from "croner";
import { z } from "zod";
import { CcwError } from "./errors.ts";

/** Far more than any pattern needs. */
const maxExpression = 200;

/**
 * The next moments (ms) behind `after` at which a cron pattern of five fields is due, by the clock of `zone` (an IANA
 * name). Where that clock is set ahead, a time within the gap is due at its end; where it is set back, a time that
 * comes twice is due the first time, while a pattern for every hour or minute is due in every real one. Empty where
 * there is none (30 February). Throws `invalid`, with what is wrong in words.
 */
export function nextTimes(expression: string, zone: string, after: number, count: number): number[] {
  return cronOf(expression, checkZone(zone))
    .nextRuns(count, new Date(after))
    .map((date) => date.getTime());
}

/** The moment (ms) of a local time `2026-11-22 03:00` in a zone; in a gap of that clock the moment at its end. */
export function momentOf(local: string, zone: string): number {
  const timezone = checkZone(zone);
  const match = local.trim().match(/^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2})(:\d{2})?$/);
  try {
    const text = `${match?.[1]}T${match?.[2]}${match?.[3] ?? ":00"}`;
    // By itself, 30 February would be 2 March.
    const exists = z.iso.date().safeParse(match?.[1]).success;
    // A time of the past has no next run, so it is looked for from long ago.
    const moment = !exists ? null : new Cron(text, { timezone, paused: true }).nextRun(new Date(0));
    if (moment !== null) return moment.getTime();
  } catch {
    // A month 13, an hour 25.
  }
  throw new CcwError("invalid", `${quoted(local)} is no time.`, "Write it like 2026-11-22 03:00.");
}

/** The zone itself, or `invalid`. */
export function checkZone(zone: string): string {
  try {
    new Intl.DateTimeFormat("en", { timeZone: zone });
    return zone;
  } catch (cause) {
    throw new CcwError(
      "invalid",
      `${quoted(zone)} is not a time zone.`,
      "Use a name of the IANA's list, such as Europe/Berlin or UTC.",
      { cause },
    );
  }
}

function cronOf(expression: string, timezone: string): Cron {
  try {
    if (expression.length > maxExpression) throw new Error("it is too long");
    const fields = expression.trim().split(/\s+/).length;
    if (fields !== 5 && !expression.trim().startsWith("@"))
      throw new Error(expression.trim() === "" ? "it is empty" : `it has ${fields} fields, not five`);
    return new Cron(expression, { timezone, mode: "5-part", paused: true });
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message.replace(/^Cron\w+: /, "") : "";
    throw new CcwError(
      "invalid",
      `${quoted(expression)} is not a cron pattern: ${reason.replace(/\.?$/, ".")}`,
      'It has five fields: minute, hour, day of the month, month, day of the week. "0 3 * * MON-FRI" is every weekday at three.',
      { cause: thrown },
    );
  }
}

const quoted = (text: string): string => JSON.stringify(text.slice(0, 100));
