import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Client } from "../../src/client.ts";
import { useAppliance } from "../appliance.ts";
import { FailureNote } from "../parts/failure.tsx";
import { useAction } from "../parts/hooks.ts";
import { StateIcon } from "../parts/icon.tsx";
import { Link } from "../router.tsx";
import { states } from "../states.ts";
import { plainLine } from "../text/plain.ts";
import { timeAgo } from "../words.ts";

type Page = Awaited<ReturnType<typeof find>>;
type Result = Page["results"][number];

const kindWords: Record<Result["places"][number]["kind"], string> = {
  title: "Title",
  prompt: "Prompt",
  agent: "Agent",
  tool: "Tool",
  output: "Output",
  pull_request: "Pull request",
  result: "Result",
};

/** Tasks, and the places in them; each leads there. */
export function SearchResults({ text, archived }: { text: string; archived: boolean }) {
  const { client } = useAppliance();
  const results = useSignal<Result[]>([]);
  const last = useSignal<Page | undefined>(undefined);
  const search = useAction(async (before?: number) => {
    const page = await find(client, text, archived, before);
    results.value = before === undefined ? page.results : joined(results.value, page.results);
    last.value = page;
  });
  useEffect(() => {
    void search.run();
  }, [text, archived]);
  // What was typed while a search was under way.
  const shown = useSignal("");
  useEffect(() => {
    if (search.busy.value) return;
    if (shown.value !== "" && shown.value !== text) void search.run();
    shown.value = text;
  }, [search.busy.value, text]);

  const next = last.value?.next;
  return (
    <section class="found" aria-label="Search results" aria-busy={search.busy.value}>
      <FailureNote failure={search.failure.value} retry={() => void search.run()} />
      <p class="dim" role="status">
        {last.value === undefined
          ? "Searching…"
          : results.value.length === 0
            ? next === undefined
              ? "Nothing was found."
              : "Nothing so far."
            : ""}
        {(last.value?.behind ?? 0) > 0 && " What was said last is still being read."}
      </p>
      <ul class="task-list">
        {results.value.map((result) => (
          <li key={result.task.id}>
            <ResultView {...result} />
          </li>
        ))}
      </ul>
      {next !== undefined && (
        <button
          type="button"
          class="small"
          disabled={search.busy.value}
          onClick={() => void search.run(next)}
        >
          Search further back
        </button>
      )}
    </section>
  );
}

function ResultView({ task, places }: Result) {
  const { now } = useAppliance();
  const { word, tone } = states[task.state];
  return (
    <>
      <Link to={`/tasks/${task.id}`} class="task-row">
        <span class="task-title">{plainLine(task.title)}</span>
        <span class="task-facts">
          <span class={`state ${tone}`}>
            <StateIcon state={task.state} />
            {word}
          </span>
          {task.archived && <span class="dim">Archived</span>}
          <span class="dim">{plainLine(task.person)}</span>
          <time class="dim" dateTime={new Date(task.createdAt).toISOString()}>
            {timeAgo(task.createdAt, now.value)}
          </time>
        </span>
      </Link>
      {places.map(({ kind, seq, snippet }) => (
        <Link key={seq} to={`/tasks/${task.id}/at/${seq}`} class="place">
          <span class="dim">{kindWords[kind]}</span>{" "}
          {snippet.map(({ text, hit }, index) =>
            hit ? <mark key={index}>{plainLine(text)}</mark> : plainLine(text),
          )}
        </Link>
      ))}
    </>
  );
}

function find(client: Client, q: string, archived: boolean, before: number | undefined) {
  const query = {
    q,
    ...(archived && { show: "archived" as const }),
    ...(before !== undefined && { before: String(before) }),
  };
  return client.read(client.api.search.$get({ query }));
}

/** A task that stands there already gets the older places, too. */
function joined(before: readonly Result[], more: readonly Result[]): Result[] {
  const known = new Map(before.map((result) => [result.task.id, result]));
  for (const result of more) {
    const there = known.get(result.task.id);
    known.set(result.task.id, there ? { ...there, places: [...there.places, ...result.places] } : result);
  }
  return [...known.values()];
}
