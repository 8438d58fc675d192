import { useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import type { Client } from "../../src/client.ts";
import { CcwError } from "../../src/domain/errors.ts";
import { useAppliance } from "../appliance.ts";
import { Field } from "../parts/controls.tsx";
import { FailureNote } from "../parts/failure.tsx";
import { submitting, useAction, useDraft } from "../parts/hooks.ts";
import { plainLine } from "../text/plain.ts";
import { draftOf, egressOf, newEgress, newSecrets, problemsIn } from "./egress-edit.ts";
import { EgressFields } from "./egress-fields.tsx";
import { parseVariables } from "./variables.ts";

export type EnvironmentJson = Awaited<ReturnType<typeof readEnvironments>>[number];

/** Adds an environment, or changes `present`. Values of variables are not shown again; those not typed stay. */
export function EnvironmentForm(props: {
  present: EnvironmentJson | undefined;
  onDone: () => void;
  onCancel: () => void;
}) {
  const { client } = useAppliance();
  const { present } = props;
  const name = useDraft("environment::name");
  const image = useDraft(`environment:${present?.name ?? ""}:image`, present?.image ?? "slim");
  const variables = useSignal("");
  const removed = useSignal<readonly string[]>([]);
  const script = useDraft(`environment:${present?.name ?? ""}:script`, present?.setupScript ?? "");
  const access = useSignal(present?.access ?? "none");
  // What the form began with, however the list is read anew meanwhile.
  const base = useMemo(() => present?.egress ?? newEgress, []);
  const egress = useSignal(draftOf(base));
  const memory = useSignal(String((present?.limits.memoryBytes ?? 4 * 1024 ** 3) / 1024 ** 3));
  const cpus = useSignal(String(present?.limits.cpus ?? 2));
  const pids = useSignal(String(present?.limits.pids ?? 2048));
  const minutes = useSignal(String(present?.limits.minutes ?? 240));
  const usd = useSignal(String(present?.limits.usd ?? 0));
  const tokens = useSignal(String(present?.limits.tokens ?? 0));
  const turns = useSignal(String(present?.limits.turns ?? 0));

  const save = useAction(async () => {
    const { variables: typed, problems } = parseVariables(variables.value);
    if (problems[0] !== undefined)
      throw new CcwError("invalid", problems[0], "Write one NAME=value on each line.");
    const json = {
      image: image.value,
      access: access.value,
      setupScript: script.value,
      limits: {
        memoryBytes: Math.round(Number(memory.value) * 1024 ** 3),
        cpus: Number(cpus.value),
        pids: Number(pids.value),
        minutes: Number(minutes.value),
        usd: Number(usd.value),
        tokens: Number(tokens.value),
        turns: Number(turns.value),
      },
    };
    if (present === undefined) {
      await client.read(
        client.api.environments.$post({
          json: {
            ...json,
            name: name.value,
            variables: typed,
            secrets: newSecrets(egress.value),
            egress: egressOf(egress.value, base, base),
          },
        }),
      );
    } else {
      const param = { name: present.name };
      const now = await client.read(client.api.environments[":name"].$get({ param }));
      const gone = Object.fromEntries(removed.value.map((variable) => [variable, null]));
      await client.read(
        client.api.environments[":name"].$patch({
          param,
          json: {
            ...json,
            variables: { ...gone, ...typed },
            secrets: egress.value.secrets,
            egress: egressOf(egress.value, base, now.egress),
          },
        }),
      );
    }
    // What was saved is no draft any more.
    if (present === undefined) {
      name.value = "";
      image.value = "slim";
      script.value = "";
    }
    props.onDone();
  });

  const { problems, all } = useMemo(() => problemsIn(save.failure.value), [save.failure.value]);

  return (
    <form class="form boxed" onSubmit={submitting(save)}>
      {present !== undefined && <h3>{plainLine(present.name)}</h3>}
      <div class="choices">
        {present === undefined && (
          <Field label="Name">
            <input
              type="text"
              required
              pattern="[a-z0-9][a-z0-9\-]{0,62}"
              title="Lower-case letters, digits and hyphens"
              value={name.value}
              onInput={(event) => (name.value = event.currentTarget.value)}
            />
          </Field>
        )}
        <Field label="Image">
          <input
            type="text"
            required
            value={image.value}
            onInput={(event) => (image.value = event.currentTarget.value)}
          />
        </Field>
      </div>
      {present !== undefined && present.variables.length > 0 && (
        <fieldset class="inline">
          <legend class="field-label">Variables now (tick to remove)</legend>
          {present.variables.map((variable) => (
            <label key={variable}>
              <input
                type="checkbox"
                checked={removed.value.includes(variable)}
                onChange={(event) => {
                  const others = removed.value.filter((other) => other !== variable);
                  removed.value = event.currentTarget.checked ? [...others, variable] : others;
                }}
              />{" "}
              <code>{variable}</code>
            </label>
          ))}
        </fieldset>
      )}
      <Field
        label={present === undefined ? "Variables" : "Variables to add or change"}
        hint="One NAME=value on each line, as in a .env file. Values are not shown again."
      >
        <textarea
          class="mono"
          rows={3}
          value={variables.value}
          onInput={(event) => (variables.value = event.currentTarget.value)}
        />
      </Field>
      <Field label="Set-up script" hint="Runs as root in the sandbox, before the agent starts.">
        <textarea
          class="mono"
          rows={4}
          value={script.value}
          onInput={(event) => (script.value = event.currentTarget.value)}
        />
      </Field>
      <div class="choices">
        {[
          { label: "Memory, GiB", field: memory, min: 0.25, step: 0.25 },
          { label: "CPUs", field: cpus, min: 0.1, step: 0.1 },
          { label: "Processes", field: pids, min: 64, step: 1 },
          { label: "Minutes at most", field: minutes, min: 1, step: 1 },
          // 0 is no limit.
          { label: "US dollars a task (0: any)", field: usd, min: 0, step: "any" },
          { label: "Tokens a task (0: any)", field: tokens, min: 0, step: 1 },
          { label: "Turns a task (0: any)", field: turns, min: 0, step: 1 },
        ].map(({ label, field, min, step }) => (
          <Field key={label} label={label}>
            <input
              type="number"
              required
              min={min}
              step={step}
              value={field.value}
              onInput={(event) => (field.value = event.currentTarget.value)}
            />
          </Field>
        ))}
      </div>
      <EgressFields access={access} draft={egress} secrets={present?.secrets ?? []} problems={problems} />
      {!all || access.value === "none" ? (
        <FailureNote failure={save.failure.value} />
      ) : (
        <p class="note bad" role="alert">
          Nothing was saved: there is a mistake under{" "}
          {[...new Set(problems.map(({ field }) => problemWords[field]))].join(" and under ")} above.
        </p>
      )}
      <div class="actions">
        <button type="submit" class="primary" disabled={save.busy.value}>
          {present === undefined ? "Add environment" : "Save environment"}
        </button>
        <button type="button" onClick={props.onCancel}>
          Do not save
        </button>
      </div>
    </form>
  );
}

const problemWords = {
  allow: "the rules",
  deny: "what is never to be reached",
  credentials: "the injected credentials",
} as const;

function readEnvironments(client: Client) {
  return client.read(client.api.environments.$get());
}
