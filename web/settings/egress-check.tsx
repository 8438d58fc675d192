import { useSignal } from "@preact/signals";
import type { Client } from "../../src/client.ts";
import { useAppliance } from "../appliance.ts";
import { Field } from "../parts/controls.tsx";
import { FailureNote } from "../parts/failure.tsx";
import { submitting, useAction } from "../parts/hooks.ts";
import { Icon } from "../parts/icon.tsx";
import { plain, plainLine } from "../text/plain.ts";

const methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

type Verdict = Awaited<ReturnType<typeof check>>;

/** Asks what would happen to a request; nothing is sent. */
export function EgressCheck({ environments }: { environments: readonly string[] }) {
  const { client } = useAppliance();
  const url = useSignal("");
  const method = useSignal("GET");
  const chosen = useSignal("default");
  const verdict = useSignal<Verdict | undefined>(undefined);
  const environment = environments.includes(chosen.value) ? chosen.value : (environments[0] ?? "");
  const ask = useAction(async () => {
    verdict.value = undefined;
    const typed = url.value.trim();
    const whole = /^[a-z][a-z0-9+.-]*:\/\//i.test(typed) ? typed : `https://${typed}`;
    verdict.value = await check(client, { url: whole, method: method.value, environment });
  });
  return (
    <form class="form check" onSubmit={submitting(ask)}>
      <h3>Check a URL</h3>
      <div class="choices">
        <Field label="Environment">
          <select value={environment} onChange={(event) => (chosen.value = event.currentTarget.value)}>
            {environments.map((name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        </Field>
        <Field label="Method">
          <select value={method.value} onChange={(event) => (method.value = event.currentTarget.value)}>
            {methods.map((name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        </Field>
        <div class="check-url">
          <Field label="URL">
            <input
              type="text"
              inputMode="url"
              required
              placeholder="https://registry.npmjs.org/left-pad"
              autocomplete="off"
              autocapitalize="none"
              spellcheck={false}
              value={url.value}
              onInput={(event) => (url.value = event.currentTarget.value)}
            />
          </Field>
        </div>
        <button type="submit" disabled={ask.busy.value}>
          Check
        </button>
      </div>
      <FailureNote failure={ask.failure.value} />
      <div role="status">{verdict.value !== undefined && <Shown verdict={verdict.value} />}</div>
    </form>
  );
}

function Shown({ verdict }: { verdict: Verdict }) {
  return (
    <div class={verdict.allowed ? "note good" : "note bad"}>
      <Icon name={verdict.allowed ? "check" : "cross"} />
      <div>
        <p>
          <strong>{verdict.allowed ? "It would pass" : "It would be refused"}</strong>
          {verdict.allowed && <span>: {plainLine(verdict.rule)}</span>}
        </p>
        <ol class="steps">
          {verdict.steps.map((step, index) => (
            <li key={index}>{plain(step)}</li>
          ))}
        </ol>
      </div>
    </div>
  );
}

function check(client: Client, json: { url: string; method: string; environment: string }) {
  return client.read(client.api.egress.check.$post({ json }));
}
