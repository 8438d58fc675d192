import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { ScheduleJson } from "../../src/client.ts";
import { aheadText, momentText } from "../../src/domain/time-words.ts";
import { useAppliance } from "../appliance.ts";
import { FailureNote } from "../parts/failure.tsx";
import { useLoaded } from "../parts/hooks.ts";
import { Icon } from "../parts/icon.tsx";
import { Link } from "../router.tsx";
import { plainLine } from "../text/plain.ts";
import { ScheduleDetail } from "./schedule-detail.tsx";
import { ScheduleForm } from "./schedule-form.tsx";

/** Tasks that start by themselves. */
export function SchedulesPage() {
  const { client, tasks, now } = useAppliance();
  // A run makes a task, and twice a minute what has come of times is asked anew.
  const { state, reload } = useLoaded(
    () => client.read(client.api.schedules.$get()),
    [tasks.value?.[0]?.id, now.value],
  );
  const open = useSignal<string | undefined>(undefined);
  const making = useSignal(false);
  useEffect(() => {
    document.title = "Schedules · ccw-server";
  }, []);
  const loaded = state.value;
  return (
    <div class="page settings">
      <Link to="/" class="back">
        <Icon name="back" /> All tasks
      </Link>
      <h1>Schedules</h1>
      <p class="dim">
        Tasks that start by themselves: at times that come again, once at a time ahead, or when a program asks
        for it.
      </p>
      {making.value ? (
        <ScheduleForm
          onDone={(id) => {
            making.value = false;
            open.value = id;
            reload();
          }}
          onCancel={() => (making.value = false)}
        />
      ) : (
        <button type="button" class="primary" onClick={() => (making.value = true)}>
          New schedule
        </button>
      )}
      {loaded.kind === "loading" && <p class="dim">Loading…</p>}
      {loaded.kind === "failed" && <FailureNote failure={loaded.failure} retry={reload} />}
      {loaded.kind === "loaded" && loaded.value.length === 0 && <p class="empty">There are none yet.</p>}
      {loaded.kind === "loaded" && (
        <ul class="rows schedules">
          {loaded.value.map((schedule) => (
            <li key={schedule.id}>
              <ScheduleRow
                schedule={schedule}
                open={open.value === schedule.id}
                onToggle={() => (open.value = open.value === schedule.id ? undefined : schedule.id)}
              />
              {open.value === schedule.id && (
                <ScheduleDetail
                  schedule={schedule}
                  changed={reload}
                  removed={() => (open.value = undefined)}
                />
              )}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

function ScheduleRow(props: { schedule: ScheduleJson; open: boolean; onToggle: () => void }) {
  const { now } = useAppliance();
  const { name, enabled, lastError, next, time, trigger, task, person } = props.schedule;
  const [first] = next;
  return (
    <div class="row">
      <div>
        <strong>{plainLine(name)}</strong> {!enabled && <span class="chip quiet">Paused</span>}
        {lastError !== "" && <span class="chip bad">{enabled ? "Trouble" : "Failed"}</span>}
        {trigger !== undefined && <span class="chip quiet">Trigger</span>}
        <p class="facts">
          <span>{whenText(time, now.value)}</span>
          {first !== undefined && (
            <span>
              next <strong>{momentText(first, now.value)}</strong> ({aheadText(first - now.value)})
            </span>
          )}
          <span>{plainLine(task.repositories.map((one) => one.name).join(", ") || "no repository")}</span>
          <span>{plainLine(person)}</span>
        </p>
        {lastError !== "" && <p class="bad-text">{plainLine(lastError)}</p>}
      </div>
      <button
        type="button"
        class="small"
        aria-expanded={props.open}
        aria-label={`Details of ${name}`}
        onClick={props.onToggle}
      >
        {props.open ? "Close" : "Details"}
      </button>
    </div>
  );
}

function whenText(time: ScheduleJson["time"], now: number): string {
  switch (time.kind) {
    case "cron":
      return `${plainLine(time.expression)} · ${plainLine(time.zone)}`;
    case "once":
      return `once, ${momentText(time.at, now)} · ${Intl.DateTimeFormat().resolvedOptions().timeZone}`;
    case "never":
      return "no time of its own";
  }
}
