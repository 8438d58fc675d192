import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { useAppliance } from "../appliance.ts";
import { plainLine } from "../text/plain.ts";
import { Field } from "./controls.tsx";
import { FailureNote } from "./failure.tsx";
import { submitting, useAction, useLoaded } from "./hooks.ts";

/** A pause in typing that is long enough to ask the forge. */
const typingPauseMs = 300;

export interface Forge {
  name: string;
  kind: "github" | "gitlab" | "gitea" | "git";
  url: string;
}

/** What a forge has, found while typing, and added with a click. `onPick` gets the repository's name here. */
export function ForgeSearch(props: {
  forges: readonly Forge[];
  start?: string;
  onPick: (name: string) => void;
  /** Those that are here already can be picked, too; else they are only shown as added. */
  picksKnown?: boolean;
}) {
  const forge = useSignal("");
  const chosen = props.forges.find(({ name }) => name === forge.value) ?? props.forges[0];
  if (chosen === undefined) return <p class="empty">No forge is connected yet.</p>;
  return (
    <>
      {props.forges.length > 1 && (
        <Field label="Forge">
          <select value={chosen.name} onChange={(event) => (forge.value = event.currentTarget.value)}>
            {props.forges.map(({ name, url }) => (
              <option key={name} value={name}>
                {plainLine(`${name}, ${url}`)}
              </option>
            ))}
          </select>
        </Field>
      )}
      {chosen.kind === "git" ? (
        <ByPath key={chosen.name} forge={chosen} {...props} />
      ) : (
        <BySearch key={chosen.name} forge={chosen} {...props} />
      )}
    </>
  );
}

interface SearchProps {
  forge: Forge;
  start?: string;
  onPick: (name: string) => void;
  picksKnown?: boolean;
}

/** A plain git server tells nobody what it has. */
function ByPath({ forge, start = "", onPick }: SearchProps) {
  const { client } = useAppliance();
  const path = useSignal(start);
  const add = useAction(async () => {
    const json = { forge: forge.name, path: path.value };
    onPick((await client.read(client.api.repositories.$post({ json }))).name);
  });
  return (
    <form class="choices" onSubmit={submitting(add)}>
      <Field label={`Its path on ${forge.url}`} hint="A plain git server does not say what it has.">
        <input
          type="text"
          required
          placeholder="team/project.git"
          value={path.value}
          onInput={(event) => (path.value = event.currentTarget.value)}
        />
      </Field>
      <button type="submit" disabled={add.busy.value}>
        {add.busy.value ? "Fetching…" : "Add"}
      </button>
      <FailureNote failure={add.failure.value} />
    </form>
  );
}

function BySearch({ forge, start = "", onPick, picksKnown = false }: SearchProps) {
  const { client } = useAppliance();
  const typed = useSignal(start);
  const asked = useSignal(start);
  const further = useSignal<Page | undefined>(undefined);
  useEffect(() => {
    const timer = setTimeout(() => (asked.value = typed.value.trim()), typingPauseMs);
    return () => clearTimeout(timer);
  }, [typed.value]);
  const read = (page?: string) => {
    const query = { ...(asked.value !== "" && { search: asked.value }), ...(page !== undefined && { page }) };
    return client.read(client.api.forges[":name"].repositories.$get({ param: { name: forge.name }, query }));
  };
  const { state, reload } = useLoaded(async () => {
    const search = asked.value;
    const page = await read();
    further.value = undefined;
    return { ...page, search };
  }, [asked.value]);
  const more = useAction(async (page: string) => {
    const { items, next } = await read(page);
    further.value = { items: [...(further.value?.items ?? []), ...items], next };
  });
  const added = useSignal<readonly string[]>([]);
  const pick = useAction(async (path: string, known: boolean) => {
    if (known) {
      const all = await client.read(client.api.repositories.$get());
      const found = all.find((each) => each.forge === forge.name && each.path === path);
      if (found !== undefined) return onPick(found.name);
    }
    const { name } = await client.read(client.api.repositories.$post({ json: { forge: forge.name, path } }));
    added.value = [...added.value, path];
    onPick(name);
  });
  const loaded = state.value;
  const first = loaded.kind === "loaded" ? loaded.value : undefined;
  const items = [...(first?.items ?? []), ...(further.value?.items ?? [])];
  const next = further.value === undefined ? first?.next : further.value.next;
  const stale = first !== undefined && first.search !== typed.value.trim();
  return (
    <>
      <Field label={`Repository on ${forge.name}`}>
        <input
          type="search"
          placeholder="a part of its name"
          autocapitalize="off"
          spellcheck={false}
          value={typed.value}
          onInput={(event) => (typed.value = event.currentTarget.value)}
        />
      </Field>
      <p class="dim" role="status">
        {loaded.kind === "loading" || stale
          ? `Asking ${forge.name}…`
          : first !== undefined && items.length === 0
            ? `${forge.name} shows none that fits${first.search === "" ? "" : ` “${plainLine(first.search)}”`}. A private one must be open to the forge's credential.`
            : ""}
      </p>
      {loaded.kind === "failed" && <FailureNote failure={loaded.failure} retry={reload} />}
      <FailureNote failure={pick.failure.value ?? more.failure.value} />
      <ul class="rows found">
        {items.map((each) => {
          const known = each.added || added.value.includes(each.path);
          const word = !known ? "Add" : picksKnown ? "Choose" : "Added";
          return (
            <li key={each.path} class="row">
              <div>
                <strong>{plainLine(each.path)}</strong>{" "}
                <span class="dim">
                  {each.private ? "private" : "public"}
                  {each.archived ? ", archived" : each.writable ? "" : ", read only"}
                  {known && picksKnown && ", added"}
                </span>
              </div>
              <button
                type="button"
                class="small"
                aria-label={`${word} ${plainLine(each.path)}`}
                disabled={pick.busy.value || (known && !picksKnown)}
                onClick={() => void pick.run(each.path, known)}
              >
                {word}
              </button>
            </li>
          );
        })}
      </ul>
      {next !== undefined && (
        <button type="button" class="small" disabled={more.busy.value} onClick={() => void more.run(next)}>
          Show more
        </button>
      )}
    </>
  );
}

interface Page {
  items: { path: string; private: boolean; archived: boolean; writable: boolean; added: boolean }[];
  next?: string | undefined;
}
