import { useSignal } from "@preact/signals";
import { useAppliance } from "../appliance.ts";
import { FailureNote } from "../parts/failure.tsx";
import { useLoaded } from "../parts/hooks.ts";
import { plainLine } from "../text/plain.ts";
import { counted } from "../words.ts";
import { EgressCheck } from "./egress-check.tsx";
import { EnvironmentForm, type EnvironmentJson } from "./environment-form.tsx";

export function EnvironmentSection() {
  const { client } = useAppliance();
  const { state, reload } = useLoaded(() => client.read(client.api.environments.$get()), []);
  /** The name of the one that is being changed; empty for a new one. */
  const editing = useSignal<string | undefined>(undefined);
  const loaded = state.value;
  const done = () => {
    editing.value = undefined;
    reload();
  };
  return (
    <section aria-labelledby="environments">
      <h2 id="environments">Environments</h2>
      <p class="dim">
        Where a task works: image, variables, set-up script, limits, network. What is changed of the network
        counts at once, for running tasks too; the rest for tasks to come.
      </p>
      {loaded.kind === "loading" && <p class="dim">Loading…</p>}
      {loaded.kind === "failed" && <FailureNote failure={loaded.failure} retry={reload} />}
      {loaded.kind === "loaded" && (
        <ul class="rows">
          {loaded.value.map((environment) => (
            <li key={environment.name}>
              {editing.value === environment.name ? (
                <EnvironmentForm
                  present={environment}
                  onDone={done}
                  onCancel={() => (editing.value = undefined)}
                />
              ) : (
                <EnvironmentRow environment={environment} onEdit={() => (editing.value = environment.name)} />
              )}
            </li>
          ))}
        </ul>
      )}
      {editing.value === "" ? (
        <EnvironmentForm present={undefined} onDone={done} onCancel={() => (editing.value = undefined)} />
      ) : (
        <button type="button" onClick={() => (editing.value = "")}>
          Add an environment
        </button>
      )}
      {loaded.kind === "loaded" && <EgressCheck environments={loaded.value.map(({ name }) => name)} />}
    </section>
  );
}

function EnvironmentRow({ environment, onEdit }: { environment: EnvironmentJson; onEdit: () => void }) {
  const { name, image, access, variables, secrets, setupScript, limits, egress } = environment;
  return (
    <div class="row">
      <div>
        <strong>{plainLine(name)}</strong>
        <p class="facts">
          <span>
            image <code>{plainLine(image)}</code>
          </span>
          <span>
            network <code>{access}</code>
            {access !== "none" && egress.allow.length > 0 && `, ${counted(egress.allow.length, "rule")}`}
            {access !== "none" && egress.deny.length > 0 && `, ${egress.deny.length} denied`}
          </span>
          <span>
            {(limits.memoryBytes / 1024 ** 3).toFixed(1)} GiB · {limits.cpus} CPU · {limits.minutes} min
          </span>
          {variables.length > 0 && <span>variables {plainLine(variables.join(", "))}</span>}
          {secrets.length > 0 && <span>secrets {plainLine(secrets.join(", "))}</span>}
          {setupScript !== "" && <span>set-up script</span>}
        </p>
      </div>
      <button type="button" class="small" aria-label={`Edit ${name}`} onClick={onEdit}>
        Edit
      </button>
    </div>
  );
}
