import type { TaskId } from "./ids.ts";
import type { TaskShelf } from "./store/tasks.ts";
import type { TaskStateKind } from "./task.ts";

/** What was found: a task's title, a prompt, the agent's words, what it had a tool do, what came of it. */
export const searchKinds = ["title", "prompt", "agent", "tool", "output", "pull_request", "result"] as const;
export type SearchKind = (typeof searchKinds)[number];

export const searchKindWords: Record<SearchKind, string> = {
  ...{ title: "title", prompt: "prompt", agent: "agent", tool: "tool", output: "output" },
  ...{ pull_request: "pull request", result: "result" },
};

export interface SearchQuery {
  /** As the person typed it. */
  text: string;
  /** Tasks on one page. */
  limit: number;
  /** Where the page before has ended. */
  before?: number | undefined;
  /** Milliseconds since the epoch. */
  since?: number | undefined;
  until?: number | undefined;
  states?: readonly TaskStateKind[] | undefined;
  /** A person's name. */
  person?: string | undefined;
  /** `all` where it is left out: an archive is there to be found in. */
  shelf?: Exclude<TaskShelf, "deleted"> | undefined;
}

export interface SearchPage {
  /** By their newest place. */
  results: SearchResult[];
  /** Where the next page begins; undefined where there is none. A task may stand there again, with older places. */
  next: number | undefined;
  /** The time was up before the page was full: `next` goes on with what is older. */
  cutShort: boolean;
}

export interface SearchResult {
  task: {
    id: TaskId;
    title: string;
    person: string;
    state: TaskStateKind;
    createdAt: number;
    archived: boolean;
  };
  /** The newest first, a few. */
  places: { kind: SearchKind; seq: number; at: number; snippet: SnippetPart[] }[];
}

/** Text as it was written, hostile; `hit` is what was looked for. */
export interface SnippetPart {
  text: string;
  hit: boolean;
}

/** Words that follow each other; `prefix`: the last of them may go on. */
export interface SearchTerm {
  words: string[];
  prefix: boolean;
}

/** Nobody types more; whoever pastes a page searches for how it begins. */
const maxTerms = 16;
const maxQueryLength = 500;
/** A shorter beginning stands for half of all words. */
const minPrefix = 3;

/**
 * Any text is a query: all of its words have to be there; those in quotes, or joined by signs as in `src/main.ts`, one
 * behind the other. The last word may be a beginning, unless a blank or a quote ends it. Without a letter or a digit in it
 * there is nothing to look for, and no term comes back.
 */
export function searchTerms(text: string): SearchTerm[] {
  const parts = text
    .slice(0, maxQueryLength)
    .toWellFormed()
    .split(/["“”„«»]/);
  const ended = /\s$/.test(text);
  const terms = parts.flatMap((part, index): SearchTerm[] => {
    const quoted = index % 2 === 1;
    // A quote that nobody has closed is being typed.
    const last = index === parts.length - 1 && !ended;
    const pieces = quoted ? [part] : part.split(/\s+/);
    return pieces
      .map((piece, place) => ({ words: wordsOf(piece), prefix: last && place === pieces.length - 1 }))
      .filter(({ words }) => words.length > 0);
  });
  return terms.slice(0, maxTerms).map(({ words, prefix }) => ({
    words,
    prefix: prefix && (words.at(-1)?.length ?? 0) >= minPrefix,
  }));
}

/** What SQLite's `unicode61` takes for words: letters, digits, private use, and the marks upon them. */
function wordsOf(text: string): string[] {
  return lettersApart(text).match(/[\p{L}\p{N}\p{Co}][\p{L}\p{N}\p{Co}\p{M}]*/gu) ?? [];
}

/**
 * Letters that are written with no blank between words, for a class of a regular expression: Thai and Lao, Burmese, Khmer,
 * Kana, Chinese. Each counts as a word, so that any part of such a text can be found. Rare Chinese ones beyond 16 bits do not.
 */
export const unspacedLetters =
  "\\u0e00-\\u0eff\\u1000-\\u109f\\u1780-\\u17ff\\u3005-\\u3007\\u3040-\\u30ff\\u3400-\\u4dbf\\u4e00-\\u9fff\\uf900-\\ufaff\\uff66-\\uff9f";

/** The text as the index reads it: a blank on both sides of each such letter. */
export function lettersApart(text: string): string {
  return text.replace(unspaced, " $& ");
}
const unspaced = new RegExp(`[${unspacedLetters}]\\p{M}*`, "gu");
