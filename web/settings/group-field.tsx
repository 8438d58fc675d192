import { useAppliance } from "../appliance.ts";
import { FailureNote } from "../parts/failure.tsx";
import { useLoaded } from "../parts/hooks.ts";
import { counted } from "../words.ts";

/** The groups of the default list, each with its hosts where they are wanted. Names that the list does not hold stay off. */
export function GroupField(props: { off: readonly string[]; onChange: (off: readonly string[]) => void }) {
  const { client } = useAppliance();
  const { state, reload } = useLoaded(() => client.read(client.api.egress.groups.$get()), []);
  const loaded = state.value;
  return (
    <fieldset>
      <legend class="field-label">The default list</legend>
      {loaded.kind === "loading" && <p class="dim">Loading…</p>}
      {loaded.kind === "failed" && <FailureNote failure={loaded.failure} retry={reload} />}
      {loaded.kind === "loaded" &&
        loaded.value.map(({ name, hosts }) => (
          <div class="group" key={name}>
            <label>
              <input
                type="checkbox"
                checked={!props.off.includes(name)}
                onChange={(event) => {
                  const others = props.off.filter((other) => other !== name);
                  props.onChange(event.currentTarget.checked ? others : [...others, name]);
                }}
              />{" "}
              {name}
            </label>
            <details>
              <summary class="dim" aria-label={`${counted(hosts.length, "host")} of ${name}`}>
                {counted(hosts.length, "host")}
              </summary>
              <ul class="hosts">
                {hosts.map(({ host, inspected }) => (
                  <li key={host}>
                    <code>{host}</code>
                    {inspected && <span class="dim"> inspected</span>}
                  </li>
                ))}
              </ul>
            </details>
          </div>
        ))}
      <p class="dim">
        Inspected: anybody can publish there, so the appliance looks into TLS and lets only reading pass,
        unless a rule says <code>write</code>.
      </p>
    </fieldset>
  );
}
