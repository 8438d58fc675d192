import { z } from "zod";
import { plainLine, plainText } from "../domain/plain-text.ts";

/** What a forge says is written by anybody: every text of it is bounded, and none can move a cursor or hide. */

/** For titles and names that are shown. */
export const shownLine = z
  .string()
  .nullish()
  .transform((text) => plainLine((text ?? "").slice(0, 2000)).slice(0, 500));

const maxTextLength = 64 * 1024;

/** Of several lines: descriptions, comments. */
export const shownText = z
  .string()
  .nullish()
  .transform((text) => cutText(text ?? "", maxTextLength));

export function cutText(text: string, most: number): string {
  const plain = plainText(text.slice(0, most));
  return text.length > most || plain.length > most ? `${plain.slice(0, most - 2).toWellFormed()} …` : plain;
}

/** For branches, paths and ids, which have to stay as they are: what has an odd character in it is no such thing. */
export const exactName = z
  .string()
  .max(1000)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is refused
  .regex(/^[^\x00-\x20\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]*$/, "has characters that no name has");

export const commitId = z.string().regex(/^([0-9a-f]{40}|[0-9a-f]{64})$/, "is no commit");

/** An address that may be a link on a page: http or https, or nothing. */
export const webLink = z
  .string()
  .nullish()
  .transform((text) => {
    const url = URL.parse((text ?? "").slice(0, 2000));
    return url !== null && /^https?:$/.test(url.protocol) && url.username === "" ? url.href : "";
  });

/** An instant in ISO 8601, as milliseconds since the epoch; 0 for what is none. */
export const instant = z
  .string()
  .nullish()
  .transform((text) => {
    const at = Date.parse(text ?? "");
    return Number.isFinite(at) ? at : 0;
  });

/** Past 2^53 some clients read a number as a bigint. */
export const numericId = z.union([z.number().int(), z.bigint()]).transform(String);

/**
 * A pull request's branch, as it counts here: one of a fork may be named like a task's own by anybody, and is shown as
 * `fork:name`, which no branch is named.
 */
export function headName(ref: string, from: Id | null | undefined, to: Id | null | undefined): string {
  return from === to ? ref : `fork:${ref}`;
}

type Id = number | bigint;
export const repositoryId = z.union([z.number().int(), z.bigint()]).nullish();
