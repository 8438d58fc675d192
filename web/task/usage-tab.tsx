import { useSignal } from "@preact/signals";
import type { Client, TaskJson } from "../../src/client.ts";
import { CcwError } from "../../src/domain/errors.ts";
import { useAppliance } from "../appliance.ts";
import { Field } from "../parts/controls.tsx";
import { FailureNote } from "../parts/failure.tsx";
import { submitting, useAction, useLoaded } from "../parts/hooks.ts";
import { UsageTable } from "../usage/usage-table.tsx";

/** What the task used, turn by turn, and what it may use. */
export function UsageTab({ task }: { task: TaskJson }) {
  const { client } = useAppliance();
  // Read anew with each request that is counted.
  const { state, reload } = useLoaded(
    () => read(client, task.id),
    [task.id, task.inputTokens, task.outputTokens, task.unpricedRequests],
  );
  const loaded = state.value;
  if (loaded.kind === "failed") return <FailureNote failure={loaded.failure} retry={reload} />;
  if (loaded.kind === "loading") {
    return (
      <p class="empty" role="status">
        Summing up…
      </p>
    );
  }
  const { total, turns, models, budget } = loaded.value;
  let turn = 0;
  const rows = turns.map((row) => {
    if (row.promptId !== undefined) turn += 1;
    return {
      ...row,
      id: row.promptId ?? "",
      label: row.promptId === undefined ? "Outside of turns" : `Turn ${turn}`,
    };
  });
  return (
    <div class="usage-tab">
      {rows.length === 0 ? (
        <p class="empty">The model was not asked yet.</p>
      ) : (
        <>
          <UsageTable head="Turn" rows={rows} total={total} />
          <UsageTable
            head="Model"
            rows={models.map((row) => ({ ...row, id: row.key, label: row.key || "unknown" }))}
          />
        </>
      )}
      <BudgetForm key={JSON.stringify(budget)} id={task.id} budget={budget} changed={reload} />
    </div>
  );
}

type Budget = Awaited<ReturnType<typeof read>>["budget"];

const limits = [
  { name: "usd", label: "US dollars", step: "any" },
  { name: "tokens", label: "Tokens of all kinds", step: 1 },
  { name: "turns", label: "Turns", step: 1 },
] as const;

function BudgetForm({ id, budget, changed }: { id: string; budget: Budget; changed: () => void }) {
  const { client } = useAppliance();
  const fields = {
    usd: useSignal(String(budget.usd)),
    tokens: useSignal(String(budget.tokens)),
    turns: useSignal(String(budget.turns)),
  };
  const save = useAction(async () => {
    const json: Partial<Record<(typeof limits)[number]["name"], number>> = {};
    for (const { name, label } of limits) {
      const value = Number(fields[name].value);
      if (fields[name].value.trim() === "" || !Number.isFinite(value))
        throw new CcwError("invalid", `${label}: that is no number.`, "0 is no limit.");
      if (value !== budget[name]) json[name] = value;
    }
    await client.read(client.api.tasks[":id"].budget.$put({ param: { id }, json }));
    changed();
  });
  const takeBack = useAction(async () => {
    const json = { usd: null, tokens: null, turns: null };
    await client.read(client.api.tasks[":id"].budget.$put({ param: { id }, json }));
    changed();
  });
  return (
    <form class="form boxed" onSubmit={submitting(save)}>
      <h3>Budget of this task</h3>
      <p class="dim">
        0 is no limit. When one is reached the agent is told to come to an end, and the task is paused after a
        few more requests to the model.{" "}
        {budget.own.length === 0 && "These are the limits of its environment."}
      </p>
      <div class="choices">
        {limits.map(({ name, label, step }) => (
          <Field key={name} label={label}>
            <input
              type="number"
              required
              min={0}
              step={step}
              value={fields[name].value}
              onInput={(event) => (fields[name].value = event.currentTarget.value)}
            />
          </Field>
        ))}
      </div>
      <FailureNote failure={save.failure.value ?? takeBack.failure.value} />
      <div class="actions">
        <button type="submit" disabled={save.busy.value}>
          Set the budget
        </button>
        {budget.own.length > 0 && (
          <button type="button" disabled={takeBack.busy.value} onClick={() => void takeBack.run()}>
            As its environment says
          </button>
        )}
      </div>
    </form>
  );
}

function read(client: Client, id: string) {
  return client.read(client.api.tasks[":id"].usage.$get({ param: { id } }));
}
