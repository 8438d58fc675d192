import { ageText } from "../src/domain/amounts.ts";
import { type SearchKind, searchKindWords } from "../src/domain/search.ts";
import type { TaskStateKind } from "../src/domain/task.ts";
import { fit, styled, wrap } from "./cells.ts";
import { line, moveIn, type Rows, windowOf } from "./rows.ts";
import type { Bindings, KeyWords, Stage } from "./stage.ts";

/** What was found in titles, prompts and transcripts: one row for each place. */
export interface SearchPage extends Rows {
  kind: "search";
  text: string;
  /** Undefined until they have come. */
  places: Place[] | undefined;
  /** Where older results begin; undefined where there are none. */
  next: number | undefined;
  cutShort: boolean;
  behind: number;
}

interface Place {
  task: {
    id: string;
    title: string;
    person: string;
    state: TaskStateKind;
    createdAt: number;
    archived: boolean;
  };
  kind: SearchKind;
  seq: number;
  snippet: { text: string; hit: boolean }[];
}

export function searchLines(page: SearchPage, columns: number, rows: number, now: number): string[] {
  const { text, places, behind } = page;
  const head = [
    styled(fit(` Found for “${line(text)}”`, columns), "strong"),
    styled("─".repeat(columns), "dim"),
  ];
  if (places === undefined) return head;
  if (places.length === 0) {
    const unread = behind === 0 ? "" : ` ${behind} events have not been read yet: try again soon.`;
    const none = page.cutShort ? "Nothing so far: the time for one search was up." : "Nothing was found.";
    return [...head, "", `  ${none}${unread}`, "  s looks for other words; all of them have to be there."];
  }
  const titles = Math.max(12, Math.floor(columns * 0.3));
  const texts = places.map(({ task, kind, snippet }, index) => {
    // A task is named once for all of its places.
    const again = index > 0 && places[index - 1]?.task.id === task.id;
    const title = fit(again ? "" : line(task.title), titles);
    return ` ${title}  ${fit(searchKindWords[kind], 12)}  ${snippetText(snippet)}`;
  });
  const detail = rows < 12 ? [] : detailLines(places[page.at], columns, now);
  return [...head, ...windowOf(page, texts, columns, rows - head.length - detail.length), ...detail];
}

function detailLines(place: Place | undefined, columns: number, now: number): string[] {
  if (place === undefined) return [];
  const { title, state, person, createdAt, archived } = place.task;
  const words = wrap(snippetText(place.snippet), columns - 2);
  return [
    styled("─".repeat(columns), "dim"),
    ` ${styled(line(title), "strong")}`,
    ` ${styled(`${archived ? "archived, " : ""}${state}, ${line(person)}, ${ageText(now - createdAt)} ago`, "dim")}`,
    ...[0, 1, 2].map((index) => ` ${words[index] ?? ""}`),
  ];
}

function snippetText(snippet: Place["snippet"]): string {
  return snippet
    .map(({ text, hit }) => {
      // The blanks at its ends part it from its neighbours.
      const [, before = "", after = ""] = text.match(/^(\s?).*?(\s?)$/s) ?? [];
      const shown = `${before}${line(text)}${after}`;
      return hit ? styled(shown, "good") : shown;
    })
    .join("");
}

export function searchKeys({ places, next }: SearchPage): KeyWords {
  const found: KeyWords = places?.length
    ? [
        ["↑↓", "select"],
        ["enter", "open it there"],
      ]
    : [];
  const more: KeyWords = next === undefined ? [] : [["m", "older ones"]];
  return [...found, ...more, ["s", "other words"], ["q", "back"]];
}

export function createSearchPage({ client, go, ask, follow, changed, openTask }: Stage) {
  const { api, read } = client;

  async function load(page: SearchPage): Promise<void> {
    const query = { q: page.text, ...(page.next !== undefined && { before: String(page.next) }) };
    const { results, next, cutShort, behind } = await read(api.search.$get({ query }));
    const found = results.flatMap(({ task, places }) => places.map((place) => ({ task, ...place })));
    page.places = [...(page.places ?? []), ...found];
    Object.assign(page, { next, cutShort, behind });
    changed();
  }

  async function search(before = ""): Promise<SearchPage | undefined> {
    const text = (await ask("Search titles, prompts and transcripts for:", before))?.trim();
    if (text === undefined || text === "") return undefined;
    const page: SearchPage = {
      ...{ kind: "search", text, places: undefined, next: undefined },
      ...{ cutShort: false, behind: 0, at: 0, top: 0 },
    };
    await load(page);
    return page;
  }

  const bindings: Bindings<SearchPage> = {
    s: (page) =>
      follow(
        (async () => {
          const found = await search(page.text);
          if (found !== undefined) Object.assign(page, found);
          changed();
        })(),
      ),
    m(page) {
      if (page.next !== undefined) follow(load(page));
    },
    enter(page) {
      const place = page.places?.[page.at];
      if (place === undefined) return;
      follow(
        (async () => {
          const { task } = await read(api.tasks[":id"].$get({ param: { id: place.task.id } }));
          openTask(task, place.seq);
        })(),
      );
    },
  };

  return {
    bindings,
    move: (page: SearchPage, by: number) => moveIn(page, page.places?.length ?? 0, by),
    open: () =>
      follow(
        (async () => {
          const page = await search();
          if (page !== undefined) go(page);
        })(),
      ),
  };
}
