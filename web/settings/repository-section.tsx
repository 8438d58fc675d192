import { useSignal } from "@preact/signals";
import { useAppliance } from "../appliance.ts";
import { ConfirmButton, Copyable, Field } from "../parts/controls.tsx";
import { FailureNote } from "../parts/failure.tsx";
import { type Forge, ForgeSearch } from "../parts/forge-search.tsx";
import { submitting, useAction, useDraft, useLoaded } from "../parts/hooks.ts";
import { plainLine } from "../text/plain.ts";

/** Whoever has more repositories looks for one by its name. */
const mostShown = 25;

export function RepositorySection({ forges, changed }: { forges: readonly Forge[]; changed: () => void }) {
  const { client } = useAppliance();
  const { state, reload } = useLoaded(() => client.read(client.api.repositories.$get()), []);
  const name = useDraft("repository-name");
  const branch = useDraft("repository-branch");
  const again = () => {
    reload();
    changed();
  };
  const removed = useSignal(0);
  const remove = useAction(async (repository: string) => {
    await client.read(client.api.repositories.$delete({ query: { repository } }));
    // What the search below says of it is read anew.
    removed.value += 1;
    again();
  });
  const add = useAction(async () => {
    const json = { name: name.value, ...(branch.value !== "" && { defaultBranch: branch.value }) };
    await client.read(client.api.repositories.$post({ json }));
    name.value = "";
    branch.value = "";
    reload();
  });
  const loaded = state.value;
  const filter = useSignal("");
  const all = loaded.kind === "loaded" ? loaded.value : [];
  const fitting = all.filter((each) => each.name.toLowerCase().includes(filter.value.trim().toLowerCase()));
  return (
    <section aria-labelledby="repositories">
      <h2 id="repositories">Repositories</h2>
      <p class="dim">
        Hosted by the appliance, or of a forge. Push a first commit to a new one; a token is the password.
      </p>
      {loaded.kind === "loading" && <p class="dim">Loading…</p>}
      {loaded.kind === "failed" && <FailureNote failure={loaded.failure} retry={reload} />}
      <FailureNote failure={remove.failure.value} />
      {loaded.kind === "loaded" && loaded.value.length === 0 && <p class="empty">No repositories yet.</p>}
      {all.length > mostShown && (
        <div class="form">
          <Field label="Find a repository" hint={`${fitting.length} of ${all.length}`}>
            <input
              type="search"
              placeholder="a part of its name"
              value={filter.value}
              onInput={(event) => (filter.value = event.currentTarget.value)}
            />
          </Field>
        </div>
      )}
      {loaded.kind === "loaded" && (
        <ul class="rows">
          {fitting.slice(0, mostShown).map((repository) => (
            <li key={repository.name} class="row">
              <div>
                <strong>{plainLine(repository.name)}</strong>{" "}
                <span class="dim">
                  {repository.forge !== undefined && `of ${plainLine(repository.forge)}, `}
                  default branch {plainLine(repository.defaultBranch)}
                </span>
              </div>
              {repository.kind === "hosted" ? (
                <Copyable
                  label={`the clone command of ${repository.name}`}
                  text={`git clone ${repository.url}`}
                />
              ) : (
                <ConfirmButton
                  label="Remove"
                  question="Forget it here? Nothing changes on the forge."
                  yes="Yes, forget it"
                  disabled={remove.busy.value}
                  onConfirm={() => void remove.run(repository.name)}
                />
              )}
            </li>
          ))}
        </ul>
      )}
      <form class="form choices" onSubmit={submitting(add)}>
        <Field label="New repository">
          <input
            type="text"
            required
            placeholder="name or owner/name"
            value={name.value}
            onInput={(event) => (name.value = event.currentTarget.value)}
          />
        </Field>
        <Field label="Default branch">
          <input
            type="text"
            placeholder="main"
            value={branch.value}
            onInput={(event) => (branch.value = event.currentTarget.value)}
          />
        </Field>
        <button type="submit" disabled={add.busy.value}>
          Add repository
        </button>
      </form>
      <FailureNote failure={add.failure.value} />
      {forges.length > 0 && (
        <div class="form found-on-forge">
          <h3>Add one of a forge</h3>
          <ForgeSearch key={removed.value} forges={forges} onPick={again} />
        </div>
      )}
    </section>
  );
}
