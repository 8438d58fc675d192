import { useSignal } from "@preact/signals";
import { type Status, useAppliance } from "../appliance.ts";
import { Field, SecretInput } from "../parts/controls.tsx";
import { FailureNote } from "../parts/failure.tsx";
import { useAction, useDraft } from "../parts/hooks.ts";
import { plainLine } from "../text/plain.ts";

export function ModelSection() {
  const { status } = useAppliance();
  const model = status.value?.model;
  const fixed = model !== undefined && model.source !== "page" && model.source !== "default";
  return (
    <section aria-labelledby="model">
      <h2 id="model">Model</h2>
      {model === undefined ? <p class="dim">Loading…</p> : <Present model={model} />}
      {fixed ? (
        <p class="note">
          It is set {sources[model.source]}, which goes first. Change it there and start the server again.
        </p>
      ) : (
        model !== undefined && <ModelForm now={model.kind} />
      )}
    </section>
  );
}

const sources: Record<Status["model"]["source"], string> = {
  "command line": "from --demo at the start",
  environment: "from an environment variable",
  "ccw.toml": "from ccw.toml",
  page: "set on this page",
  default: "the default, as nothing is set",
};

function Present({ model }: { model: Status["model"] }) {
  return (
    <p>
      Now:{" "}
      <strong>
        {model.kind === "demo" && "the demo model (scripted answers, no real model)"}
        {model.kind === "endpoint" && plainLine(model.baseUrl)}
      </strong>{" "}
      <span class="dim">({sources[model.source]})</span>
    </p>
  );
}

function ModelForm({ now }: { now: Status["model"]["kind"] }) {
  const { client, refreshStatus } = useAppliance();
  const kind = useSignal<"demo" | "endpoint">(now === "endpoint" ? "endpoint" : "demo");
  const baseUrl = useDraft("model-url", "https://api.anthropic.com");
  const credential = useSignal<"api-key" | "auth-token">("api-key");
  // A key is no draft: it stays out of the browser's storage.
  const secret = useSignal("");
  const saved = useSignal(false);
  const save = useAction(async () => {
    const json =
      kind.value === "demo"
        ? { kind: "demo" as const }
        : {
            kind: "endpoint" as const,
            baseUrl: baseUrl.value,
            credential: credential.value,
            secret: secret.value,
          };
    await client.read(client.api.model.$put({ json }));
    secret.value = "";
    saved.value = true;
    await refreshStatus();
  });
  return (
    <form
      class="form"
      onSubmit={(event) => {
        event.preventDefault();
        saved.value = false;
        void save.run();
      }}
    >
      <fieldset class="inline">
        <legend class="field-label">Use</legend>
        <label>
          <input
            type="radio"
            name="kind"
            checked={kind.value === "endpoint"}
            onChange={() => (kind.value = "endpoint")}
          />{" "}
          a real endpoint
        </label>
        <label>
          <input
            type="radio"
            name="kind"
            checked={kind.value === "demo"}
            onChange={() => (kind.value = "demo")}
          />{" "}
          the demo model
        </label>
      </fieldset>
      {kind.value === "endpoint" && (
        <>
          <Field label="Base URL" hint="Anything that speaks the Anthropic Messages API.">
            <input
              type="url"
              value={baseUrl.value}
              onInput={(event) => (baseUrl.value = event.currentTarget.value)}
              required
            />
          </Field>
          <div class="choices">
            <Field label="Kind of key">
              <select
                value={credential.value}
                onChange={(event) => {
                  credential.value = event.currentTarget.value === "auth-token" ? "auth-token" : "api-key";
                }}
              >
                <option value="api-key">API key (x-api-key)</option>
                <option value="auth-token">Token (Authorization: Bearer)</option>
              </select>
            </Field>
            <Field label="Key" hint="Kept encrypted on the appliance; no sandbox ever sees it.">
              <SecretInput secret={secret} required />
            </Field>
          </div>
        </>
      )}
      <FailureNote failure={save.failure.value} />
      <div class="actions">
        <button type="submit" class="primary" disabled={save.busy.value}>
          Save model
        </button>
        <span aria-live="polite" class="good-text">
          {saved.value ? "Saved." : ""}
        </span>
      </div>
    </form>
  );
}
