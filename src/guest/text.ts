import { maxEventText } from "../domain/event.ts";
import type { Json } from "../domain/json.ts";

/** Text that fits one event, with the count of characters that did not. */
export function cutText(text: string, limit = maxEventText): { text: string; omitted: number } {
  if (text.length <= limit) return { text, omitted: 0 };
  // Never between the halves of a surrogate pair.
  const end = /[\uD800-\uDBFF]/.test(text.charAt(limit - 1)) ? limit - 1 : limit;
  return { text: text.slice(0, end), omitted: text.length - end };
}

/** The same where the event has no field for the count: the text says it itself. */
export function cutWithNote(text: string, limit = maxEventText): string {
  if (text.length <= limit) return text;
  const cut = cutText(text, limit - 60);
  return `${cut.text}\n[… ${cut.omitted} more characters are not shown]`;
}

/** The last `limit` characters. */
export function tailOf(text: string, limit: number): string {
  return text.length <= limit ? text : `…${text.slice(-limit)}`;
}

/** JSON that fits one event: long strings are cut first, then the whole becomes a cut text. */
export function boundJson(value: Json, limit = maxEventText): Json {
  if (JSON.stringify(value).length <= limit) return value;
  const shorter = cutStrings(value, Math.floor(limit / 8));
  const text = JSON.stringify(shorter);
  return text.length <= limit ? shorter : { cut: cutWithNote(text, Math.floor(limit / 4)) };
}

function cutStrings(value: Json, limit: number): Json {
  if (typeof value === "string") return cutWithNote(value, limit);
  if (Array.isArray(value)) return value.map((item) => cutStrings(item, limit));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, cutStrings(item, limit)]));
}
