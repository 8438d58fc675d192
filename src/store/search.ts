import { and, eq, gt, inArray, lte, sql } from "drizzle-orm";
import type { TaskEventBody } from "../domain/event.ts";
import type { TaskId } from "../domain/ids.ts";
import {
  lettersApart,
  type SearchKind,
  type SearchResult,
  type SearchTerm,
  searchTerms,
} from "../domain/search.ts";
import { snippetOf } from "../domain/search-snippet.ts";
import { searchedEvents, searchTextOf } from "../domain/search-text.ts";
import type { SearchStore } from "../domain/store/search.ts";
import type { TaskStateKind } from "../domain/task.ts";
import type { StoreContext } from "./context.ts";
import { events } from "./schema/events.ts";

/** Of one portion: everything waits while it is read, and what SQLite merges meanwhile. */
const maxEvents = 2000;
const maxText = 64 * 1024;
/** One search may take so long; everything waits for it. */
const budgetMs = 150;
const placesOfTask = 3;

interface Entry {
  id: number;
  taskId: TaskId;
  seq: number;
  kind: SearchKind;
  at: number;
}
interface TaskFacts {
  title: string;
  person: string;
  state: TaskStateKind;
  createdAt: number;
  archivedAt: number | null;
}

/**
 * `search_index` holds the words alone ("contentless"): the texts stand in the events, where snippets are cut from. Its
 * row ids grow with the events', so that the newest places come first without sorting, however many there are.
 */
export function createSearchStore({ db }: StoreContext): SearchStore {
  const sqlite = db.$client;
  const columns = { seq: events.seq, taskId: events.taskId, at: events.at, body: events.body };
  const unread = (from: number, to: number) =>
    and(gt(events.seq, from), lte(events.seq, to), inArray(sql`+${events.kind}`, [...searchedEvents]));
  const readTo = sqlite.query<{ seq: number }, []>("SELECT seq FROM search_cursor WHERE id = 1");
  const newest = sqlite.query<{ seq: number | null }, []>("SELECT max(seq) AS seq FROM events");
  const setRead = sqlite.query<unknown, [number]>(
    "INSERT OR REPLACE INTO search_cursor (id, seq) VALUES (1, ?)",
  );
  const addEntry = sqlite.query<unknown, [TaskId, number, SearchKind, number]>(
    "INSERT INTO search_entries (task_id, seq, kind, at) VALUES (?, ?, ?, ?)",
  );
  const addWords = sqlite.query<unknown, [string]>(
    "INSERT INTO search_index (rowid, text) VALUES (last_insert_rowid(), ?)",
  );
  const titleOf = sqlite.query<{ title: string }, [TaskId]>("SELECT title FROM tasks WHERE id = ?");
  const firstEntry = sqlite.query<{ id: number }, [TaskId]>(
    "SELECT id FROM search_entries WHERE task_id = ? LIMIT 1",
  );
  // CROSS JOIN keeps the order: first the words, then the entry of each place.
  const places = sqlite.query<Entry, [string, number, number]>(
    `SELECT e.id, e.task_id AS taskId, e.seq, e.kind, e.at
     FROM search_index CROSS JOIN search_entries e ON e.id = search_index.rowid
     WHERE search_index MATCH ? AND search_index.rowid < ? AND search_index.rowid >= ?
     ORDER BY search_index.rowid DESC`,
  );
  const entryFrom = sqlite.query<{ id: number; at: number }, [number]>(
    "SELECT id, at FROM search_entries WHERE id >= ? ORDER BY id LIMIT 1",
  );
  const lastEntry = sqlite.query<{ id: number | null }, []>("SELECT max(id) AS id FROM search_entries");
  const facts = sqlite.query<TaskFacts, [TaskId]>(
    `SELECT t.title, p.name AS person, t.state_kind AS state, t.created_at AS createdAt, t.archived_at AS archivedAt
     FROM tasks t JOIN people p ON p.id = t.person_id WHERE t.id = ? AND t.deleted_at IS NULL`,
  );
  const bodyOf = (seq: number) => db.select(columns).from(events).where(eq(events.seq, seq)).get()?.body;

  const add = (row: Omit<Entry, "id" | "kind">, kind: SearchKind, text: string) => {
    addEntry.run(row.taskId, row.seq, kind, row.at);
    addWords.run(lettersApart(text));
  };

  const index = ({ body, ...row }: Omit<Entry, "id" | "kind"> & { body: TaskEventBody }) => {
    if (body.kind === "state") {
      // The first event of a task; later ones bring nothing new.
      const title = firstEntry.get(row.taskId) === null ? titleOf.get(row.taskId)?.title : undefined;
      if (title !== undefined) add(row, "title", title);
      return;
    }
    const found = searchTextOf(body);
    if (found !== undefined) add(row, found.kind, found.text);
  };

  /** The first entry of this time or later. Times grow with the ids, but for a clock that was set back. */
  const entryAt = (time: number): number => {
    let low = 0;
    let high = (lastEntry.get()?.id ?? 0) + 1;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const entry = entryFrom.get(middle);
      if (entry === null || entry.at >= time) high = middle;
      else low = entry.id + 1;
    }
    return low;
  };

  const snippet = (
    { taskId, seq, kind }: Entry,
    terms: readonly SearchTerm[],
    tasks: Map<TaskId, TaskFacts>,
  ) => {
    if (kind === "title") return snippetOf(tasks.get(taskId)?.title ?? "", terms);
    const body = bodyOf(seq);
    return snippetOf((body && searchTextOf(body)?.text) ?? "", terms);
  };

  return {
    indexPortion() {
      const from = readTo.get()?.seq ?? 0;
      const last = newest.get()?.seq ?? 0;
      if (from >= last) return false;
      let to = Math.min(last, from + maxEvents);
      let bytes = 0;
      // SQLite knows a value's length without reading it; `+kind`: in the order of the events, by their own key.
      const sizes = db
        .select({ seq: events.seq, bytes: sql<number>`octet_length(${events.body})` })
        .from(events)
        .where(unread(from, to))
        .orderBy(events.seq)
        .all();
      for (const row of sizes) {
        bytes += row.bytes;
        if (bytes < maxText) continue;
        to = row.seq;
        break;
      }
      const rows = db.select(columns).from(events).where(unread(from, to)).orderBy(events.seq).all();
      for (const row of rows) index(row);
      setRead.run(to);
      return to < last;
    },
    behind: () => Math.max(0, (newest.get()?.seq ?? 0) - (readTo.get()?.seq ?? 0)),
    rebuild() {
      sqlite.run("INSERT INTO search_index (search_index) VALUES ('delete-all')");
      sqlite.run("DELETE FROM search_entries");
      setRead.run(0);
    },
    find({ text, limit, before, since, until, states, person, shelf = "all" }) {
      const terms = searchTerms(text);
      const results = new Map<TaskId, Entry[]>();
      const tasks = new Map<TaskId, TaskFacts>();
      if (terms.length === 0) return { results: [], next: undefined, cutShort: false };

      const wanted = (id: TaskId): boolean => {
        const task = facts.get(id);
        if (task === null) return false;
        if (person !== undefined && task.person !== person) return false;
        if (states !== undefined && !states.includes(task.state)) return false;
        if (shelf !== "all" && (shelf === "archived") !== (task.archivedAt !== null)) return false;
        tasks.set(id, task);
        return true;
      };
      const judged = new Map<TaskId, boolean>();
      const isWanted = (id: TaskId) => {
        const known = judged.get(id) ?? wanted(id);
        judged.set(id, known);
        return known;
      };

      const deadline = performance.now() + budgetMs;
      const top = Math.min(
        before ?? Number.MAX_SAFE_INTEGER,
        until === undefined ? Infinity : entryAt(until + 1),
      );
      let next: number | undefined;
      let cutShort = false;
      let seen = 0;
      for (const entry of places.iterate(matchOf(terms), top, since === undefined ? 0 : entryAt(since))) {
        if (++seen % 64 === 0 && performance.now() > deadline) {
          next = entry.id + 1;
          cutShort = true;
          break;
        }
        const found = results.get(entry.taskId);
        if (found !== undefined) {
          if (found.length < placesOfTask) found.push(entry);
        } else if (isWanted(entry.taskId)) {
          if (results.size === limit) {
            next = entry.id + 1;
            break;
          }
          results.set(entry.taskId, [entry]);
        }
      }
      return {
        results: [...results].flatMap(([id, entries]): SearchResult[] => {
          const task = tasks.get(id);
          if (task === undefined) return [];
          const { archivedAt, ...rest } = task;
          return [
            {
              task: { id, ...rest, archived: archivedAt !== null },
              places: entries.map((entry) => ({
                ...{ kind: entry.kind, seq: entry.seq, at: entry.at },
                snippet: snippet(entry, terms, tasks),
              })),
            },
          ];
        }),
        next,
        cutShort,
      };
    },
  };
}

/** FTS5's own syntax, of quoted strings alone: no word of a person is an operator of it. */
function matchOf(terms: readonly SearchTerm[]): string {
  return terms.map(({ words, prefix }) => `"${words.join(" ")}"${prefix ? " *" : ""}`).join(" ");
}
