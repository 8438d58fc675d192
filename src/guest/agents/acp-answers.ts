import type { ElicitationContentValue } from "@agentclientprotocol/sdk";

/** A field of a form as a person is asked for it. */
export interface AcpField {
  isMany: boolean;
  /** None where it is typed. */
  options: readonly { label: string; description: string }[];
  /** What an answer has to be, in a few words that stand behind the question; empty where anything goes. */
  hint: string;
  /** What a person's words mean for the form; empty for no answer. `wrong`: what they would have to be. */
  fill(said: string): { content: AcpContent } | { wrong: string };
}
export type AcpContent = Record<string, ElicitationContentValue>;

export interface Place {
  key: string;
  isRequired: boolean;
  /** The field for an answer that is none of the choices. */
  other: string | undefined;
}

/** What may be typed. */
export interface Wanted {
  words: string;
  valueOf(said: string): ElicitationContentValue | undefined;
}

/** No choices for what is typed: to the interfaces a typed number is the number of a choice. */
export function typed({ key, isRequired }: Place, fallback: string, wanted: Wanted): AcpField {
  const usual = wanted.valueOf(fallback) === undefined ? "" : fallback;
  return {
    ...{ isMany: false, options: [] },
    hint: [
      ...(wanted.words === "" ? [] : [wanted.words]),
      ...(usual === "" ? [] : [`"default" for ${usual}`]),
      ...(isRequired ? [] : ['"skip" for none']),
    ].join("; "),
    fill(said) {
      const meant = said === "" || same(said, "default") ? usual || said : said;
      if (!isRequired && (meant === "" || same(meant, "skip"))) return { content: {} };
      const value = meant === "" ? undefined : wanted.valueOf(meant);
      return value === undefined ? { wrong: wanted.words || "some text" } : { content: { [key]: value } };
    },
  };
}

/** An option as the protocol has it. */
interface Titled {
  const: string;
  title: string;
  description: string;
}
interface Option {
  label: string;
  value: string | boolean;
  description: string;
}

/** Told from each other by their titles, or else by what they stand for. */
export const labelled = (all: readonly Titled[]): Option[] =>
  all.map(({ const: value, title, description }) => {
    const isOnly = all.filter((each) => same(each.title, title)).length === 1;
    const label = isOnly ? title : value === title ? value : `${title} (${value})`;
    return { label: label.trim() || "(empty)", value, description };
  });

/** `many`: several may be picked, and between how many. */
export function choice(
  all: readonly Option[],
  { key, isRequired, other }: Place,
  fallback: string,
  many?: { minItems?: number | null | undefined; maxItems?: number | null | undefined },
): AcpField {
  const usual = picksIn(fallback, all, many !== undefined).picks;
  const skip = { label: "Skip", description: "Give no answer" };
  const maySkip = !isRequired && !all.some(({ label }) => same(label, skip.label));
  const least = many?.minItems ?? 0;
  const most = many?.maxItems ?? all.length;
  const counts = [
    ...(least > 0 ? [`at least ${least} of them`] : []),
    ...(most < all.length ? [`at most ${most} of them`] : []),
  ].join(", ");
  return {
    isMany: many !== undefined,
    options: [
      ...all.map((option) => ({
        label: option.label,
        description: [option.description, ...(usual.includes(option) ? ["the default"] : [])]
          .filter(Boolean)
          .join("; "),
      })),
      ...(maySkip ? [skip] : []),
    ],
    hint: counts,
    fill(said) {
      const found = picksIn(said, all, many !== undefined);
      const rest = maySkip && same(found.rest, skip.label) ? "" : found.rest;
      const chosen = said === "" ? usual : found.picks;
      if (rest !== "" && other === undefined) return { wrong: "one of the choices" };
      const beside = rest === "" || other === undefined ? {} : { [other]: rest };
      if (chosen.length === 0 && (rest !== "" || !isRequired)) return { content: beside };
      const values = [...new Set(chosen.map(({ value }) => value))];
      const [first] = values;
      if (first === undefined) return { wrong: "one of the choices" };
      if (many === undefined) return { content: { [key]: first } };
      if (values.length < least || values.length > most) return { wrong: counts };
      return { content: { [key]: values.map(String), ...beside } };
    },
  };
}

/** Labels, or what they stand for, joined by commas as the interfaces join them; `rest`: the words behind them. */
function picksIn(
  said: string,
  all: readonly Option[],
  isMany: boolean,
): { picks: readonly Option[]; rest: string } {
  const picks: Option[] = [];
  let rest = said.trim();
  while (rest !== "" && (isMany || picks.length === 0)) {
    const heads = all.flatMap((option) =>
      [option.label, String(option.value)]
        .filter((name) => same(rest.slice(0, name.length), name))
        .filter(({ length }) => rest.length === length || (isMany && rest[length] === ","))
        .map(({ length }) => ({ option, length })),
    );
    const longest = heads.sort((a, b) => b.length - a.length)[0];
    if (longest === undefined || longest.length === 0) break;
    picks.push(longest.option);
    rest = rest.slice(longest.length).replace(/^,\s*/, "");
  }
  return { picks, rest };
}

const same = (one: string, other: string) => one.toLowerCase() === other.toLowerCase();
