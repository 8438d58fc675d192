import { useSignal } from "@preact/signals";
import { useAppliance } from "../appliance.ts";
import { ConfirmButton } from "../parts/controls.tsx";
import { FailureNote } from "../parts/failure.tsx";
import type { Forge } from "../parts/forge-search.tsx";
import { type Loaded, useAction } from "../parts/hooks.ts";
import { Icon } from "../parts/icon.tsx";
import { plainLine } from "../text/plain.ts";
import { type ForgeAnswer, ForgeForm, forgeKinds } from "./forge-form.tsx";

const credentials = {
  none: "no credential, public repositories alone",
  token: "a token",
  app: "a GitHub App",
} as const;

interface ForgeRow extends Forge {
  credential: keyof typeof credentials;
  repositories: number;
}

export function ForgeSection({
  loaded,
  reload,
}: {
  loaded: Loaded<readonly ForgeRow[]>;
  reload: () => void;
}) {
  const { client } = useAppliance();
  const said = useSignal<ForgeAnswer | undefined>(undefined);
  const test = useAction(async (name: string) => {
    said.value = undefined;
    const { account, notes } = await client.read(client.api.forges[":name"].test.$post({ param: { name } }));
    said.value = { name, account, notes };
  });
  const remove = useAction(async (name: string) => {
    said.value = undefined;
    await client.read(client.api.forges[":name"].$delete({ param: { name } }));
    reload();
  });
  return (
    <section aria-labelledby="forges">
      <h2 id="forges">Forges</h2>
      <p class="dim">Where repositories live that the appliance does not hold itself.</p>
      <FailureNote failure={test.failure.value ?? remove.failure.value} />
      <div role="status">{said.value !== undefined && <Answer {...said.value} />}</div>
      {loaded.kind === "failed" && <FailureNote failure={loaded.failure} retry={reload} />}
      {loaded.kind === "loaded" && loaded.value.length === 0 && (
        <p class="empty">No forge is connected yet.</p>
      )}
      {loaded.kind === "loaded" && (
        <ul class="rows">
          {loaded.value.map(({ name, kind, url, credential }) => (
            <li key={name} class="row">
              <div>
                <strong>{plainLine(name)}</strong>{" "}
                <span class="dim">
                  {forgeKinds[kind]} at {plainLine(url)}, {credentials[credential]}
                </span>
              </div>
              <div class="actions">
                <button
                  type="button"
                  class="small"
                  disabled={test.busy.value}
                  onClick={() => void test.run(name)}
                >
                  Test
                </button>
                <ConfirmButton
                  label="Remove"
                  question={`Forget ${plainLine(name)} and its credential?`}
                  yes="Yes, forget it"
                  onConfirm={() => void remove.run(name)}
                />
              </div>
            </li>
          ))}
        </ul>
      )}
      <ForgeForm
        done={(answer) => {
          said.value = answer;
          reload();
        }}
      />
    </section>
  );
}

function Answer({ name, account, notes }: ForgeAnswer) {
  return (
    <div class="note good">
      <Icon name="check" />
      <div>
        <p>
          {plainLine(name)} answers{account !== "" && ` and knows the credential as ${plainLine(account)}`}.
        </p>
        {notes.map((note) => (
          <p key={note} class="dim">
            {plainLine(note)}
          </p>
        ))}
      </div>
    </div>
  );
}
