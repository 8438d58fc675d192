import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { useAppliance } from "../appliance.ts";
import { Field } from "../parts/controls.tsx";
import { FailureNote } from "../parts/failure.tsx";
import { submitting, useAction, useLoaded } from "../parts/hooks.ts";

/** The address that stands in the commits of one's tasks. */
export function CommitAddress() {
  const { client } = useAppliance();
  const { state, reload } = useLoaded(() => client.read(client.api.me.$get()), []);
  const email = useSignal("");
  const saved = state.value.kind === "loaded" ? state.value.value.email : undefined;
  useEffect(() => {
    if (saved !== undefined) email.value = saved;
  }, [saved, email]);
  const save = useAction(async () => {
    await client.read(client.api.me.$put({ json: { email: email.value.trim() } }));
    reload();
  });
  return (
    <form class="form choices" onSubmit={submitting(save)}>
      <FailureNote failure={save.failure.value} />
      <Field label="E-mail address in commits" hint="Forges link commits to accounts by it.">
        <input
          type="email"
          maxLength={254}
          value={email.value}
          onInput={(event) => (email.value = event.currentTarget.value)}
        />
      </Field>
      <button type="submit" disabled={save.busy.value || saved === undefined || email.value.trim() === saved}>
        Save
      </button>
    </form>
  );
}
