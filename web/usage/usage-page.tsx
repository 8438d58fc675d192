import { useSignal } from "@preact/signals";
import type { Client } from "../../src/client.ts";
import { useAppliance } from "../appliance.ts";
import { Field } from "../parts/controls.tsx";
import { FailureNote } from "../parts/failure.tsx";
import { useLoaded } from "../parts/hooks.ts";
import { Icon } from "../parts/icon.tsx";
import { Link } from "../router.tsx";
import { plainLine } from "../text/plain.ts";
import { DayBars, UsageTable, withoutGaps } from "./usage-table.tsx";

const bys = ["day", "task", "person", "environment", "model"] as const;
type By = (typeof bys)[number];
const byWords: Record<By, string> = {
  day: "Day",
  task: "Task",
  person: "Person",
  environment: "Environment",
  model: "Model",
};

/** What all tasks used and what it cost. */
export function UsagePage() {
  const { client } = useAppliance();
  const by = useSignal<By>("day");
  const from = useSignal(new Date(Date.now() - 29 * 86_400_000).toISOString().slice(0, 10));
  const to = useSignal("");
  const query = {
    by: by.value,
    ...(from.value !== "" && { from: from.value }),
    ...(to.value !== "" && { to: to.value }),
  };
  const { state } = useLoaded(() => read(client, query), [by.value, from.value, to.value]);
  const loaded = state.value;
  const csv = `/api/usage.csv?${new URLSearchParams(query)}`;
  return (
    <div class="page stack">
      <Link to="/" class="back">
        <Icon name="back" /> All tasks
      </Link>
      <h1>Usage</h1>
      <div class="choices">
        <Field label="Sum up by">
          <select value={by.value} onChange={(event) => (by.value = byOf(event.currentTarget.value))}>
            {bys.map((name) => (
              <option key={name} value={name}>
                {byWords[name]}
              </option>
            ))}
          </select>
        </Field>
        <Field label="From">
          <input
            type="date"
            value={from.value}
            onChange={(event) => (from.value = event.currentTarget.value)}
          />
        </Field>
        <Field label="To">
          <input type="date" value={to.value} onChange={(event) => (to.value = event.currentTarget.value)} />
        </Field>
        <a class="button" href={csv} download={`usage-by-${by.value}.csv`}>
          CSV
        </a>
      </div>
      {loaded.kind === "failed" && <FailureNote failure={loaded.failure} />}
      {loaded.kind === "loading" && (
        <p class="empty" role="status">
          Summing up…
        </p>
      )}
      {loaded.kind === "loaded" && (
        <>
          {loaded.value.rows.length === 0 && <p class="empty">Nothing was used in these days.</p>}
          {loaded.value.by === "day" && loaded.value.rows.length > 1 && (
            <DayBars days={withoutGaps(loaded.value.rows)} />
          )}
          {loaded.value.rows.length > 0 && (
            <UsageTable
              head={byWords[loaded.value.by]}
              rows={rowsOf(loaded.value)}
              total={loaded.value.total}
            />
          )}
          <p class="dim">
            Tokens are as the model's endpoint told them; cost is by the prices of when a request was made.
            Days are those of {plainLine(loaded.value.timeZone)}.
          </p>
        </>
      )}
    </div>
  );
}

type Usage = Awaited<ReturnType<typeof read>>;

function rowsOf({ by, rows }: Usage) {
  const shown = by === "day" ? rows.toReversed() : rows;
  return shown.map((row) => ({
    ...row,
    id: row.key,
    label: row.name || (by === "task" ? `${row.key} (deleted)` : row.key || "unknown"),
  }));
}

function byOf(text: string): By {
  return bys.find((name) => name === text) ?? "day";
}

function read(client: Client, query: { by: By; from?: string; to?: string }) {
  return client.read(client.api.usage.$get({ query }));
}
