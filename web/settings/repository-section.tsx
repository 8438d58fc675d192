import { useSignal } from "@preact/signals";
import { useAppliance } from "../appliance.ts";
import { Copyable, Field } from "../parts/controls.tsx";
import { FailureNote } from "../parts/failure.tsx";
import { useAction, useDraft, useLoaded } from "../parts/hooks.ts";
import { plainLine } from "../text/plain.ts";

export function RepositorySection() {
  const { client } = useAppliance();
  const { state, reload } = useLoaded(() => client.read(client.api.repositories.$get()), []);
  const name = useDraft("repository-name");
  const branch = useDraft("repository-branch");
  const add = useAction(async () => {
    const json = { name: name.value, ...(branch.value !== "" && { defaultBranch: branch.value }) };
    await client.read(client.api.repositories.$post({ json }));
    name.value = "";
    branch.value = "";
    reload();
  });
  const loaded = state.value;
  return (
    <section aria-labelledby="repositories">
      <h2 id="repositories">Repositories</h2>
      <p class="dim">
        Hosted by the appliance, or of a forge. Push a first commit to a new one; a token is the password.
      </p>
      {loaded.kind === "loading" && <p class="dim">Loading…</p>}
      {loaded.kind === "failed" && <FailureNote failure={loaded.failure} retry={reload} />}
      {loaded.kind === "loaded" && loaded.value.length === 0 && <p class="empty">No repositories yet.</p>}
      {loaded.kind === "loaded" && (
        <ul class="rows">
          {loaded.value.map((repository) => (
            <li key={repository.name} class="row">
              <div>
                <strong>{plainLine(repository.name)}</strong>{" "}
                <span class="dim">
                  {repository.forge !== undefined && `of ${plainLine(repository.forge)}, `}
                  default branch {plainLine(repository.defaultBranch)}
                </span>
              </div>
              <Copyable
                label={`the clone command of ${repository.name}`}
                text={`git clone ${repository.url}`}
              />
            </li>
          ))}
        </ul>
      )}
      <form
        class="form choices"
        onSubmit={(event) => {
          event.preventDefault();
          void add.run();
        }}
      >
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
      <ForgeSearch added={reload} />
    </section>
  );
}

/** What a forge has, to be added with a click. */
function ForgeSearch({ added }: { added: () => void }) {
  const { client } = useAppliance();
  const forges = useLoaded(() => client.read(client.api.forges.$get()), []).state.value;
  const names = forges.kind === "loaded" ? forges.value.map(({ name }) => name) : [];
  const forge = useSignal("");
  const text = useDraft("forge-search");
  const found = useSignal<Found[] | undefined>(undefined);
  const chosen = forge.value || (names[0] ?? "");
  const search = useAction(async () => {
    const query = text.value === "" ? {} : { search: text.value };
    const answer = await client.read(
      client.api.forges[":name"].repositories.$get({ param: { name: chosen }, query }),
    );
    found.value = answer.items;
  });
  const add = useAction(async (path: string) => {
    await client.read(client.api.repositories.$post({ json: { forge: chosen, path } }));
    found.value = found.value?.map((each) => (each.path === path ? { ...each, added: true } : each));
    added();
  });
  if (names.length === 0) return null;
  return (
    <>
      <form
        class="form choices"
        onSubmit={(event) => {
          event.preventDefault();
          void search.run();
        }}
      >
        <Field label="Forge">
          <select value={chosen} onChange={(event) => (forge.value = event.currentTarget.value)}>
            {names.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </Field>
        <Field label="Repository on it">
          <input
            type="search"
            placeholder="a part of its name"
            value={text.value}
            onInput={(event) => (text.value = event.currentTarget.value)}
          />
        </Field>
        <button type="submit" disabled={search.busy.value}>
          Search
        </button>
      </form>
      <FailureNote failure={search.failure.value ?? add.failure.value} />
      {found.value?.length === 0 && <p class="empty">The forge shows none that fits.</p>}
      <ul class="rows">
        {found.value?.map((each) => (
          <li key={each.path} class="row">
            <div>
              <strong>{plainLine(each.path)}</strong>{" "}
              <span class="dim">
                {each.private ? "private" : "public"}
                {each.archived ? ", archived" : each.writable ? "" : ", to read"}
              </span>
            </div>
            <button
              type="button"
              class="small"
              disabled={each.added || add.busy.value}
              onClick={() => void add.run(each.path)}
            >
              {each.added ? "Added" : "Add"}
            </button>
          </li>
        ))}
      </ul>
    </>
  );
}

interface Found {
  path: string;
  private: boolean;
  archived: boolean;
  writable: boolean;
  added: boolean;
}
