import { useSignal } from "@preact/signals";
import { useAppliance } from "../appliance.ts";
import { ConfirmButton, Copyable, Field } from "../parts/controls.tsx";
import { FailureNote } from "../parts/failure.tsx";
import { submitting, useAction, useDraft, useLoaded } from "../parts/hooks.ts";
import { plainLine } from "../text/plain.ts";
import { timeAgo } from "../words.ts";

const kinds = { api: "token", session: "browser session", link: "sign-in link" } as const;

export function TokenSection() {
  const { client, now } = useAppliance();
  const { state, reload } = useLoaded(() => client.read(client.api.tokens.$get()), []);
  const name = useDraft("token-name");
  const made = useSignal<{ name: string; secret: string } | undefined>(undefined);
  const add = useAction(async () => {
    const { secret } = await client.read(client.api.tokens.$post({ json: { name: name.value } }));
    made.value = { name: name.value, secret };
    name.value = "";
    reload();
  });
  const revoke = useAction(async (id: string) => {
    await client.read(client.api.tokens[":id"].$delete({ param: { id } }));
    reload();
  });
  const loaded = state.value;
  return (
    <section aria-labelledby="tokens">
      <h2 id="tokens">Tokens</h2>
      <p class="dim">For the command line, for scripts, and as git's password.</p>
      <FailureNote failure={add.failure.value ?? revoke.failure.value} />
      {made.value !== undefined && (
        <div class="note good" role="status">
          <div>
            <p>
              The secret of <strong>{plainLine(made.value.name)}</strong>. It is shown this once: copy it now.
            </p>
            <Copyable label="the secret" text={made.value.secret} />
          </div>
        </div>
      )}
      {loaded.kind === "failed" && <FailureNote failure={loaded.failure} retry={reload} />}
      {loaded.kind === "loaded" && (
        <ul class="rows">
          {loaded.value.map((token) => (
            <li key={token.id} class="row">
              <div>
                <strong>{plainLine(token.name)}</strong>{" "}
                <span class="dim">
                  {kinds[token.kind]} of {plainLine(token.person)}, made {timeAgo(token.createdAt, now.value)}
                </span>
              </div>
              <ConfirmButton
                label="Revoke"
                question={`Revoke ${plainLine(token.name)}?`}
                yes="Yes, revoke"
                onConfirm={() => void revoke.run(token.id)}
              />
            </li>
          ))}
        </ul>
      )}
      <form class="form choices" onSubmit={submitting(add)}>
        <Field label="New token">
          <input
            type="text"
            required
            maxLength={100}
            placeholder="what it is for"
            value={name.value}
            onInput={(event) => (name.value = event.currentTarget.value)}
          />
        </Field>
        <button type="submit" disabled={add.busy.value}>
          Make token
        </button>
      </form>
    </section>
  );
}
