import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { bytesText } from "../../src/domain/amounts.ts";
import { egressVerdicts } from "../../src/domain/egress.ts";
import { useAppliance } from "../appliance.ts";
import { Field } from "../parts/controls.tsx";
import { FailureNote } from "../parts/failure.tsx";
import { useAction, useLoaded } from "../parts/hooks.ts";
import { states } from "../states.ts";
import { counted } from "../words.ts";
import { AccessList } from "./access-card.tsx";
import type { AccessRequests } from "./access-requests.ts";
import { type LedgerFilter, type LedgerSums, readTaskLedger } from "./ledger.ts";
import { LedgerTable, verdictWords } from "./ledger-table.tsx";
import type { TaskDetail } from "./task-feed.ts";

/** What went out is read anew this often while the task runs and the page is looked at. */
const livePauseMs = 2000;
const roundsPerSum = 3;

/** What the sandbox asked of the internet: requests for access, and the ledger, live while the task runs. */
export function EgressTab({ task, requests }: { task: TaskDetail["task"]; requests: AccessRequests }) {
  const { client } = useAppliance();
  const verdict = useSignal<LedgerFilter["verdict"]>("");
  /** As it is typed, and as it was entered: what is half typed filters nothing. */
  const typed = useSignal("");
  const host = useSignal("");
  const ended = useMemo(() => new AbortController(), [task.id, verdict.value, host.value]);
  const ledger = useMemo(
    () => readTaskLedger(client, task.id, { verdict: verdict.value, host: host.value }, ended.signal),
    [client, task.id, ended],
  );
  const older = useAction(ledger.older);
  const over = states[task.state].ended;
  useEffect(() => () => ended.abort(), [ended]);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let stopped = false;
    const round = async (count: number) => {
      if (!document.hidden || count === 0) {
        await ledger.refresh();
        if (count % roundsPerSum === 0) await ledger.refreshSums();
      }
      // What was open when the task ended is seen to its end.
      const live = !over || ledger.rows.peek()?.some(({ open }) => open);
      if (!stopped && live) timer = setTimeout(() => void round(count + 1), livePauseMs);
    };
    void round(0);
    return () => {
      stopped = true;
      clearTimeout(timer);
    };
  }, [ledger, over]);

  const rows = ledger.rows.value;
  const filtered = verdict.value !== "" || host.value !== "";
  return (
    <div class="egress">
      <AccessList requests={requests} />
      <Sums sums={ledger.sums.value} environment={task.environment} />
      <div class="choices ledger-filter">
        <Field label="Verdict">
          <select
            value={verdict.value}
            onChange={(event) => {
              const chosen = event.currentTarget.value;
              verdict.value = egressVerdicts.find((each) => each === chosen) ?? "";
            }}
          >
            <option value="">all</option>
            {egressVerdicts.map((each) => (
              <option key={each} value={each}>
                {verdictWords[each]}
              </option>
            ))}
          </select>
        </Field>
        <Field label="Host">
          <input
            type="search"
            list="ledger-hosts"
            placeholder="all"
            autocomplete="off"
            autocapitalize="none"
            spellcheck={false}
            value={typed.value}
            onInput={(event) => (typed.value = event.currentTarget.value)}
            onChange={(event) => (host.value = event.currentTarget.value.trim())}
          />
        </Field>
        <datalist id="ledger-hosts">
          {ledger.sums.value?.hosts.map((each) => (
            <option key={each.host} value={each.host} />
          ))}
        </datalist>
      </div>
      <FailureNote failure={ledger.failure.value} retry={() => void ledger.refresh()} />
      {rows === undefined && ledger.failure.value === undefined && (
        <p class="empty" role="status">
          Loading the ledger…
        </p>
      )}
      {rows?.length === 0 && (
        <p class="empty">
          {filtered ? "No request is like that." : "Nothing has been asked of the internet."}
        </p>
      )}
      {rows !== undefined && rows.length > 0 && <LedgerTable rows={rows} />}
      {ledger.more.value && (
        <button type="button" class="earlier" disabled={older.busy.value} onClick={() => void older.run()}>
          Show older
        </button>
      )}
    </div>
  );
}

function Sums({ sums, environment }: { sums: LedgerSums | undefined; environment: string }) {
  const { client } = useAppliance();
  const { state } = useLoaded(
    () => client.read(client.api.environments[":name"].$get({ param: { name: environment } })),
    [environment],
  );
  if (sums === undefined) return null;
  const { requests, refused, bytesUp, bytesDown } = sums.total;
  const budget = state.value.kind === "loaded" ? state.value.value.egress.limits.uploadBytes : undefined;
  return (
    <p class="facts ledger-sums">
      <span>
        <strong>{counted(requests, "request")}</strong>
      </span>
      <span class={refused > 0 ? "bad-text" : ""}>{refused.toLocaleString("en")} refused</span>
      <span>
        {bytesText(bytesUp)} uploaded{budget !== undefined && ` of ${bytesText(budget)}`}
      </span>
      <span>{bytesText(bytesDown)} downloaded</span>
      {sums.lost > 0 && (
        <span class="bad-text">{counted(sums.lost, "request")} could not be written down</span>
      )}
    </p>
  );
}
