import { Database } from "bun:sqlite";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { environmentSchema } from "../../src/domain/environment.ts";
import type { TaskEventBody } from "../../src/domain/event.ts";
import { type IdSource, newId, type TaskId } from "../../src/domain/ids.ts";
import type { Store } from "../../src/domain/store.ts";
import { createSeal } from "../../src/store/seal.ts";
import { openStore } from "../../src/store/store.ts";
import { median, quantile, type Report, type Row, rounded } from "./figures.ts";

/**
 * The store with some million events: how fast they become searchable, how long nobody else has their turn meanwhile, and
 * what a search and the end of a long transcript cost then. The words are made up, as frequent as words are (Zipf); half of
 * the events hold text, as in real transcripts.
 */
const ofTask = 5000;
const longTask = 50_000;
const ids: IdSource = { now: Date.now, randomBytes: (count) => randomBytes(count) };

export async function benchSearch({ events, rounds }: { events: number; rounds: number }): Promise<Report> {
  const folder = mkdtempSync(join(tmpdir(), "ccw-bench-search-"));
  try {
    return measured(folder, events, rounds);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function measured(folder: string, events: number, rounds: number): Report {
  const path = join(folder, "ccw.sqlite");
  const store = openStore(path, createSeal(new Uint8Array(32)), ids);
  const words = vocabulary();
  const long = fill(store, path, events, words);
  const before = statSync(path).size;

  const portions: number[] = [];
  const began = performance.now();
  for (let more = true; more; ) {
    const start = performance.now();
    more = store.search.indexPortion();
    portions.push(performance.now() - start);
  }
  const seconds = (performance.now() - began) / 1000;
  store.close();
  const grown = statSync(path).size - before;

  const again = openStore(path, createSeal(new Uint8Array(32)), ids);
  try {
    const [first = "", second = "", third = ""] = words.common;
    const queries: [string, string, object?][] = [
      ["the most frequent word", `${first} `],
      ["two frequent words", `${first} ${second} `],
      ["a phrase of two", `"${first} ${second}" `],
      ["a rare word", `${words.rare} `],
      ["a frequent and a rare word", `${first} ${words.rare} `],
      ["a beginning of 3 letters", first.slice(0, 3)],
      ["a beginning of 4 letters", first.slice(0, 4)],
      [
        "four frequent words, the last a beginning",
        `${first} ${second} ${third} ${words.common[3]?.slice(0, 4)}`,
      ],
      ["a frequent word, a person who has one task", `${first} `, { person: "rare" }],
      ["nothing there is", "zzzzqqqq "],
    ];
    const took = queries.map(([name, text, filter]) => {
      const times = Array.from({ length: rounds * 4 }, () => {
        const start = performance.now();
        JSON.stringify(again.search.find({ text, limit: 20, ...filter }));
        return performance.now() - start;
      });
      return { name, times };
    });
    const ends = Array.from({ length: rounds * 4 }, () => {
      const start = performance.now();
      JSON.stringify(again.events.before(long, Number.MAX_SAFE_INTEGER, 500));
      return performance.now() - start;
    });
    const row = ({ name, times }: { name: string; times: number[] }): Row => ({
      "": name,
      "first ms": rounded(times[0] ?? 0),
      "p50 ms": rounded(median(times)),
      "most ms": rounded(Math.max(...times)),
    });
    return {
      name: `search over ${events.toLocaleString("en")} events`,
      tables: [
        {
          caption: "making them searchable, in one go; the server pauses twice as long after each portion",
          rows: [
            {
              "events/s": Math.round(events / seconds),
              seconds: rounded(seconds),
              "portion p50 ms": rounded(median(portions)),
              "p99 ms": rounded(quantile(portions, 0.99)),
              "longest ms": rounded(Math.max(...portions)),
              "database MiB": Math.round(before / 1024 ** 2),
              "index MiB": Math.round(grown / 1024 ** 2),
            },
          ],
        },
        { caption: "a page of 20 tasks with snippets, as JSON", rows: took.map(row) },
        {
          caption: `the last 500 events of a transcript of ${longTask.toLocaleString("en")}, as JSON`,
          rows: [row({ name: "its end", times: ends })],
        },
      ],
      promises: [
        {
          what: "a search, the slowest",
          unit: "ms",
          measured: rounded(Math.max(...took.flatMap(({ times }) => times))),
          limit: 300,
        },
        {
          what: "opening a long transcript at its end",
          unit: "ms",
          measured: rounded(Math.max(...ends)),
          limit: 100,
        },
      ],
    };
  } finally {
    again.close();
  }
}

/** Written past the store, whose verbs would take an hour for it. Returns the task with the long transcript. */
function fill(store: Store, path: string, events: number, { word }: Vocabulary): TaskId {
  const submit = (person: string): TaskId => {
    const id = newId("TaskId", ids);
    store.tasks.create({
      ...{ id, title: `${word()} ${word()} ${word()}`, agent: "claude", model: "", repositories: [] },
      person: store.people.ensure(person),
      environment: environmentSchema.parse({ name: "default" }),
      prompt: { id: newId("PromptId", ids), text: Array.from({ length: 30 }, word).join(" ") },
    });
    return id;
  };
  const db = new Database(path, { strict: true });
  db.run("PRAGMA synchronous = OFF");
  const insert = db.query("INSERT INTO events (task_id, at, kind, body) VALUES (?, ?, ?, ?)");
  const add = db.transaction((id: TaskId, count: number) => {
    for (let n = 0; n < count; n++) {
      const body = eventOf(n, word);
      insert.run(id, Date.now(), body.kind, JSON.stringify(body));
    }
  });
  submit("rare");
  let left = events;
  while (left > longTask) {
    const count = Math.min(ofTask, left - longTask);
    add(submit("ada"), count);
    left -= count;
  }
  const long = submit("ada");
  add(long, left);
  db.close();
  return long;
}

function eventOf(n: number, word: () => string): TaskEventBody {
  const text = (count: number) => Array.from({ length: count }, word).join(" ");
  switch (n % 10) {
    case 0:
      return { kind: "assistant_text", blockId: `b${n}`, text: text(40) };
    case 1:
    case 2:
      return { kind: "tool_use", toolUseId: `t${n}`, name: "Bash", input: { command: text(8) } };
    case 3:
    case 4:
      return { kind: "tool_result", toolUseId: `t${n - 2}`, isError: false, text: text(30), omitted: 0 };
    default:
      return { kind: "assistant_delta", blockId: `b${n}`, text: text(3) };
  }
}

interface Vocabulary {
  word(): string;
  common: string[];
  rare: string;
}

function vocabulary(): Vocabulary {
  // Mulberry32: the same words each time.
  let seed = 42;
  const random = () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const syllables = "con ti ver al pro me str ing er re func tion te st pa th no de se mo".split(" ");
  const syllable = () => syllables[Math.floor(random() * syllables.length)] ?? "";
  const all = [
    ...new Set(
      Array.from({ length: 60_000 }, () =>
        Array.from({ length: 2 + Math.floor(random() * 3) }, syllable).join(""),
      ),
    ),
  ];
  // About as frequent as its place in the list is high.
  const word = () => all[Math.floor(all.length ** random()) - 1] ?? "word";
  return { word, common: all.slice(0, 4), rare: all.at(-5) ?? "" };
}
