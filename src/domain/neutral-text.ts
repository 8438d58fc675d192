import { plainText } from "./plain-text.ts";

/**
 * Words of an agent, or of whoever wrote what it read, for a page on a forge: they are to be read there and to have no
 * other effect. A forge acts on what it finds in a description: it notifies who is mentioned, closes issues, links
 * them, runs GitLab's quick actions, fetches images, and hides HTML comments. A word joiner (U+2060), which nobody sees,
 * takes each of these apart.
 */
export function neutral(text: string): string {
  const plain = plainText(text);
  const linksIssues = /\/(issues|work_items|pull|merge_requests)\/|\b[A-Z][A-Z0-9_]+-\d/.test(plain);
  return plain
    .replace(/<(?=[A-Za-z!/?])/g, `<${joiner}`)
    .replace(/@(?=[\p{L}\p{N}_])/gu, `@${joiner}`)
    .replace(/!(?=\[)/g, `!${joiner}`)
    .replace(/([#!])(?=\d)/g, `$1${joiner}`)
    .replace(/\bGH-(?=\d)/gi, `GH-${joiner}`)
    .replace(entities, `&${joiner}`)
    .replace(/^([ \t>]*)\/(?=[a-z])/gim, `$1/${joiner}`)
    .replace(linksIssues ? closing : never, (word) => `${word.slice(0, 1)}${joiner}${word.slice(1)}`);
}

/** `neutral` in one line: for titles. */
export function nameForPeople(text: string): string {
  return neutral(text).replace(/\s+/g, " ").trim();
}

const joiner = "\u2060";
/** GitHub's and GitLab's keywords. */
const closing =
  /\b(clos(e[sd]?|ing)|fix(e[sd]|ing)?|resolv(e[sd]?|ing)|implement(s|ed|ing)?|reopen(s|ed|ing)?)\b(?=[:\s])/gi;
/** CommonMark, 6.2: a character written so is that character once it is shown. These are the ones that forges act on. */
const entities = /&(?=#x[\da-f]|(commat|num|excl|sol);)/gi;
const never = /(?!)/g;
