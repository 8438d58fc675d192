import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import type { ScheduleJson } from "../../src/client.ts";
import { aheadText, momentText } from "../../src/domain/time-words.ts";
import { failureOf, useAppliance } from "../appliance.ts";
import { AgentField, ModeField, ModelField } from "../parts/agent-fields.tsx";
import { AttachButton, AttachedFiles, useAttachments } from "../parts/attachments.tsx";
import { Field } from "../parts/controls.tsx";
import { FailureNote } from "../parts/failure.tsx";
import { submitting, useAction, useDraft, useLoaded } from "../parts/hooks.ts";
import { type Filled, filledFrom, taskOf, timeOf } from "./filled.ts";
import { RepositoryFields } from "./repository-fields.tsx";

/** For a new schedule, or one that is changed. */
export function ScheduleForm(props: {
  present?: ScheduleJson;
  onDone: (id: string) => void;
  onCancel: () => void;
}) {
  const { present } = props;
  const { client } = useAppliance();
  const first = useMemo(() => filledFrom(present), []);
  // The words outlive a reload; the rest is chosen again.
  const name = useDraft(`schedule:${present?.id ?? ""}:name`, first.name);
  const prompt = useDraft(`schedule:${present?.id ?? ""}:prompt`, first.prompt);
  const form = useSignal<Filled>({ ...first, name: name.peek(), prompt: prompt.peek() });
  const attachments = useAttachments(present?.attachments);
  const set = (change: Partial<Filled>) => {
    form.value = { ...form.value, ...change };
    name.value = form.value.name;
    prompt.value = form.value.prompt;
  };
  const forgetDrafts = () => {
    name.value = first.name;
    prompt.value = first.prompt;
  };
  const it = form.value;
  const choices = useLoaded(async () => {
    const repositories = await client.read(client.api.repositories.$get());
    const first = repositories[0]?.name;
    if (present === undefined && form.peek().repositories.length === 0 && first !== undefined)
      set({ repositories: [{ name: first, branch: "" }] });
    return { repositories, environments: await client.read(client.api.environments.$get()) };
  }, []).state.value;
  const names = choices.kind === "loaded" ? choices.value.repositories.map(({ name }) => name) : [];
  const places =
    choices.kind === "loaded" ? choices.value.environments.map(({ name }) => name) : [it.environment];
  const save = useAction(async () => {
    const { name, missed, overlap } = it;
    const triggersPerHour = Number(it.perHour);
    const task = taskOf(it, attachments.ids());
    const rules = { name, missed, overlap, triggersPerHour };
    const time = timeOf(it);
    const saved =
      present === undefined
        ? await client.read(client.api.schedules.$post({ json: { ...rules, time, task } }))
        : await client.read(
            client.api.schedules[":id"].$patch({
              param: { id: present.id },
              // A task that stays goes on in the name of its person, and a time that has passed is no fault.
              json: {
                ...rules,
                ...(!isSame(time, timeOf(filledFrom(present))) && { time }),
                ...(!isSame(task, taskOf(filledFrom(present), present.task.attachments)) && { task }),
              },
            }),
          );
    forgetDrafts();
    props.onDone(saved.id);
  });
  const choose = <Name extends Exclude<keyof Filled, "repositories">>(
    label: string,
    name: Name,
    options: readonly (readonly [value: Filled[Name] & string, words: string])[],
  ) => (
    <Field label={label}>
      <select
        name={name}
        value={it[name]}
        onChange={({ currentTarget }) => {
          const picked = options.find(([value]) => value === currentTarget.value);
          if (picked !== undefined) set({ [name]: picked[0] });
        }}
      >
        {options.map(([value, words]) => (
          <option key={value} value={value}>
            {words}
          </option>
        ))}
      </select>
    </Field>
  );
  const type = (label: string, name: "name" | "expression" | "zone", placeholder = "") => (
    <Field label={label}>
      <input
        type="text"
        name={name}
        placeholder={placeholder}
        value={it[name]}
        onInput={({ currentTarget }) => set({ [name]: currentTarget.value })}
      />
    </Field>
  );
  return (
    <form
      class="form boxed"
      {...attachments.handlers}
      aria-label={present === undefined ? "New schedule" : "Change the schedule"}
      onSubmit={submitting(save)}
    >
      {type("Name", "name", "nightly")}
      <Field label="Prompt">
        <textarea
          name="prompt"
          rows={4}
          placeholder="What is to be done each time, in plain words."
          value={it.prompt}
          onInput={({ currentTarget }) => set({ prompt: currentTarget.value })}
        />
      </Field>
      <div class="schedule-files">
        <AttachedFiles attachments={attachments} />
        <AttachButton attachments={attachments} />
      </div>
      <RepositoryFields
        known={names}
        value={it.repositories}
        onChange={(repositories) => set({ repositories })}
      />
      <div class="choices">
        {choose(
          "Environment",
          "environment",
          places.map((name) => [name, name] as const),
        )}
        <Field label="Agent">
          <AgentField value={it.agent} onChoose={(agent) => set({ agent, model: "" })} />
        </Field>
        <Field label="Model">
          <ModelField agent={it.agent} value={it.model} onChoose={(model) => set({ model })} />
        </Field>
        <Field label="Mode">
          <ModeField value={it.mode} onChoose={(mode) => set({ mode })} />
        </Field>
        {choose("Pull request", "pullRequest", [
          ["none", "by hand"],
          ["draft", "draft at the end"],
          ["ready", "ready at the end"],
        ])}
      </div>
      <div class="choices">
        {choose("When", "when", [
          ["cron", "again and again"],
          ["once", "once"],
          ["never", "by hand or trigger"],
        ])}
        {it.when === "cron" && type("Cron pattern", "expression", "0 3 * * MON-FRI")}
        {it.when === "cron" && type("Time zone", "zone")}
        {it.when === "once" && (
          <Field label="At (this browser's clock)">
            <input
              type="datetime-local"
              name="at"
              value={it.at}
              onInput={({ currentTarget }) => set({ at: currentTarget.value })}
            />
          </Field>
        )}
      </div>
      {it.when === "cron" && <Preview expression={it.expression} zone={it.zone} />}
      {it.when !== "never" && (
        <div class="choices">
          {choose("Missed while the appliance was away", "missed", [
            ["skip", "skip them"],
            ["run", "run once"],
          ])}
          {choose("While its last task is at work", "overlap", [
            ["skip", "skip the time"],
            ["allow", "start another"],
          ])}
        </div>
      )}
      <Field label="Tasks an hour by its trigger, at most">
        <input
          type="number"
          min={1}
          max={10_000}
          value={it.perHour}
          onInput={({ currentTarget }) => set({ perHour: currentTarget.value })}
        />
      </Field>
      <FailureNote failure={save.failure.value ?? attachments.failure.value} />
      <div class="actions">
        <button type="submit" class="primary" disabled={save.busy.value || attachments.busy()}>
          {present === undefined ? "Make schedule" : "Save"}
        </button>
        <button
          type="button"
          onClick={() => {
            forgetDrafts();
            props.onCancel();
          }}
        >
          Cancel
        </button>
      </div>
    </form>
  );
}

/** The next times of what is typed, as the appliance counts them. */
function Preview({ expression, zone }: { expression: string; zone: string }) {
  const { client, now } = useAppliance();
  const shown = useSignal<{ text: string; good: boolean } | undefined>(undefined);
  useEffect(() => {
    if (expression.trim() === "") return;
    let current = true;
    const timer = setTimeout(async () => {
      try {
        const times = await client.read(client.api["schedule-times"].$get({ query: { expression, zone } }));
        const words = times
          .slice(0, 3)
          .map((at) => `${momentText(at, now.peek())} (${aheadText(at - now.peek())})`);
        const text = words.length === 0 ? "That time never comes." : `Next, here: ${words.join(", ")}`;
        if (current) shown.value = { text, good: words.length > 0 };
      } catch (thrown) {
        if (current) shown.value = { text: failureOf(thrown).message, good: false };
      }
    }, 250);
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [expression, zone]);
  if (expression.trim() === "" || shown.value === undefined) return null;
  return (
    <p class={shown.value.good ? "dim" : "bad-text"} role="status">
      {shown.value.text}
    </p>
  );
}

const isSame = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other);
