import { useSignal } from "@preact/signals";
import type { ScheduleJson, ScheduleRunJson } from "../../src/client.ts";
import { aheadText, momentText } from "../../src/domain/time-words.ts";
import { useAppliance } from "../appliance.ts";
import { FileView } from "../parts/attachments.tsx";
import { ConfirmButton, Copyable } from "../parts/controls.tsx";
import { FailureNote } from "../parts/failure.tsx";
import { useAction, useLoaded } from "../parts/hooks.ts";
import { LongText } from "../parts/long-text.tsx";
import { Link } from "../router.tsx";
import { states } from "../states.ts";
import { plainLine } from "../text/plain.ts";
import { timeAgo } from "../words.ts";
import { ScheduleForm } from "./schedule-form.tsx";

/** Its next times, what came of the last ones, its trigger, and what a person can do with it. */
export function ScheduleDetail(props: { schedule: ScheduleJson; changed: () => void; removed: () => void }) {
  const { schedule, changed } = props;
  const { client, now } = useAppliance();
  const param = { id: schedule.id };
  const editing = useSignal(false);
  const { state, reload } = useLoaded(
    () => client.read(client.api.schedules[":id"].$get({ param })),
    [schedule],
  );
  const act = useAction(async (what: "run" | "toggle" | "remove") => {
    if (what === "run") await client.read(client.api.schedules[":id"].run.$post({ param }));
    if (what === "remove") {
      await client.read(client.api.schedules[":id"].$delete({ param }));
      props.removed();
    }
    if (what === "toggle")
      await client.read(client.api.schedules[":id"].$patch({ param, json: { enabled: !schedule.enabled } }));
    changed();
  });
  if (editing.value) {
    return (
      <ScheduleForm
        present={schedule}
        onDone={() => {
          editing.value = false;
          changed();
        }}
        onCancel={() => (editing.value = false)}
      />
    );
  }
  const loaded = state.value;
  const zone = schedule.time.kind === "cron" ? schedule.time.zone : undefined;
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return (
    <div class="boxed schedule-detail">
      <div class="actions">
        <button type="button" class="small" disabled={act.busy.value} onClick={() => void act.run("run")}>
          Run now
        </button>
        <button type="button" class="small" disabled={act.busy.value} onClick={() => void act.run("toggle")}>
          {schedule.enabled ? "Pause" : "Resume"}
        </button>
        <button type="button" class="small" onClick={() => (editing.value = true)}>
          Edit
        </button>
        <ConfirmButton
          label="Remove"
          question={`Remove ${plainLine(schedule.name)}? Its tasks stay.`}
          yes="Yes, remove"
          onConfirm={() => void act.run("remove")}
        />
      </div>
      <FailureNote failure={act.failure.value} />
      <h3>What it submits</h3>
      <LongText text={schedule.task.prompt} lines={6} />
      {schedule.attachments.length > 0 && (
        <div class="attachments">
          {schedule.attachments.map((file) => (
            <FileView key={file.id} file={file} />
          ))}
        </div>
      )}
      <p class="dim">{plainLine(placesText(schedule.task))}</p>
      {schedule.next.length > 0 && (
        <>
          <h3>Next times</h3>
          <ul class="times">
            {schedule.next.map((at) => (
              <li key={at}>
                {momentText(at, now.value)} <span class="dim">{aheadText(at - now.value)}</span>
                {zone !== undefined && zone !== own && (
                  <span class="dim">
                    {" "}
                    · {momentText(at, now.value, zone)} in {plainLine(zone)}
                  </span>
                )}
              </li>
            ))}
          </ul>
          <p class="dim">
            By the clock of this browser, {own}. Missed times are{" "}
            {schedule.missed === "skip" ? "skipped" : "made up for by one run"}.
          </p>
        </>
      )}
      <Trigger schedule={schedule} changed={changed} />
      <h3>What came of it</h3>
      {loaded.kind === "failed" && <FailureNote failure={loaded.failure} retry={reload} />}
      {loaded.kind === "loaded" && loaded.value.runs.length === 0 && <p class="dim">Nothing yet.</p>}
      {loaded.kind === "loaded" && (
        <ul class="rows">
          {loaded.value.runs.map((run, index) => (
            <li key={index} class="run">
              <Run {...run} />
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

/** Where it works, and who does. */
function placesText({ repositories, environment, agent, model, mode }: ScheduleJson["task"]): string {
  const places = repositories.map(({ name, baseBranch }) => (baseBranch ? `${name} (${baseBranch})` : name));
  return [
    places.length === 0 ? "no repository" : places.join(", "),
    `environment ${environment}`,
    [agent, model].filter(Boolean).join(", "),
    ...(mode === "plan" ? ["plans first"] : []),
  ].join(" · ");
}

const causes = { time: "by time", trigger: "by its trigger", person: "by hand" } as const;

function Run({ at, cause, kind, reason, task }: ScheduleRunJson) {
  const { now } = useAppliance();
  const when = (
    <span class="dim">
      {timeAgo(at, now.value)}, {causes[cause]}
    </span>
  );
  if (task !== undefined) {
    const state = task.state === undefined ? undefined : states[task.state];
    return (
      <>
        {task.title === undefined ? (
          <span class="dim">a task that was deleted</span>
        ) : (
          <Link to={`/tasks/${task.id}`}>{plainLine(task.title)}</Link>
        )}{" "}
        {state !== undefined && <span class={`state ${state.tone}`}>{state.word}</span>} {when}
      </>
    );
  }
  return (
    <>
      <span class={`state ${kind === "failed" ? "bad" : "quiet"}`}>
        {kind === "failed" ? "Failed" : "Skipped"}
      </span>{" "}
      {plainLine(reason)} {when}
    </>
  );
}

function Trigger({ schedule, changed }: { schedule: ScheduleJson; changed: () => void }) {
  const { client, now } = useAppliance();
  const param = { id: schedule.id };
  const made = useSignal<{ url: string; token: string } | undefined>(undefined);
  const make = useAction(async () => {
    made.value = await client.read(client.api.schedules[":id"].trigger.$post({ param }));
    changed();
  });
  const end = useAction(async () => {
    await client.read(client.api.schedules[":id"].trigger.$delete({ param }));
    made.value = undefined;
    changed();
  });
  const { trigger } = schedule;
  return (
    <>
      <h3>Trigger</h3>
      <p class="dim">
        Programs start its task with an HTTP request. What they send along, up to 64 KiB, is given to the
        agent as data that it is told not to trust.
      </p>
      <FailureNote failure={make.failure.value ?? end.failure.value} />
      {made.value !== undefined && (
        <div class="note good" role="status">
          <div>
            <p>The token is in this command. It is shown this once: copy it now.</p>
            <Copyable
              label="the command"
              text={`curl -H 'Authorization: Bearer ${made.value.token}' --data-binary 'what has happened' ${made.value.url}`}
            />
          </div>
        </div>
      )}
      {trigger === undefined ? (
        <button type="button" class="small" disabled={make.busy.value} onClick={() => void make.run()}>
          Make a trigger
        </button>
      ) : (
        <>
          <p>
            <code>POST {trigger.url}</code>{" "}
            <span class="dim">
              at most {schedule.triggersPerHour} tasks an hour, token made {timeAgo(trigger.since, now.value)}
            </span>
          </p>
          <div class="actions">
            <ConfirmButton
              label="New token"
              question="The one before stops working."
              yes="Yes, a new one"
              onConfirm={() => void make.run()}
            />
            <ConfirmButton
              label="End the trigger"
              question="End the trigger?"
              yes="Yes, end it"
              onConfirm={() => void end.run()}
            />
          </div>
        </>
      )}
    </>
  );
}
