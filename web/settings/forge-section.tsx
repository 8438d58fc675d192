import { useSignal } from "@preact/signals";
import { useAppliance } from "../appliance.ts";
import { ConfirmButton, Field } from "../parts/controls.tsx";
import { FailureNote } from "../parts/failure.tsx";
import type { Forge } from "../parts/forge-search.tsx";
import { type Loaded, useAction, useDraft } from "../parts/hooks.ts";
import { Icon } from "../parts/icon.tsx";
import { plainLine } from "../text/plain.ts";

const kinds = {
  github: "GitHub",
  gitlab: "GitLab",
  gitea: "Gitea or Forgejo",
  git: "plain git server",
} as const;
type Kind = keyof typeof kinds;
/** What is filled in, and what the token has to be allowed. */
const usual: Record<Kind, { name: string; url: string; token: string }> = {
  github: {
    name: "github",
    url: "https://github.com",
    token:
      "Fine-grained: Contents and Pull requests to read and write, Checks and Commit statuses to read. Classic: repo; workflow only where tasks may change what GitHub Actions run.",
  },
  gitlab: {
    name: "gitlab",
    url: "https://gitlab.com",
    token: "A project, group or personal access token with the scope api.",
  },
  gitea: {
    name: "gitea",
    url: "",
    token: "An access token that may read and write repositories and issues.",
  },
  git: { name: "git", url: "", token: "What the server takes as the user's password." },
};
const kindNames = ["github", "gitlab", "gitea", "git"] as const satisfies Kind[];
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
  const said = useSignal<Said | undefined>(undefined);
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
                  {kinds[kind]} at {plainLine(url)}, {credentials[credential]}
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

interface Said {
  name: string;
  /** Empty where no credential is, or nobody can say whose it is. */
  account: string;
  notes: readonly string[];
}

function Answer({ name, account, notes }: Said) {
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

function ForgeForm({ done }: { done: (said: Said) => void }) {
  const { client } = useAppliance();
  const kind = useSignal<Kind>("github");
  const name = useDraft("forge-name", "github");
  const url = useDraft("forge-url", "https://github.com");
  const user = useDraft("forge-user");
  // A token is no draft: it stays out of the browser's storage.
  const token = useSignal("");
  const add = useAction(async () => {
    const credential =
      token.value === ""
        ? { kind: "none" as const }
        : { kind: "token" as const, token: token.value.trim(), username: user.value };
    const { account, notes } = await client.read(
      client.api.forges.$post({ json: { name: name.value, kind: kind.value, url: url.value, credential } }),
    );
    token.value = "";
    done({ name: name.value, account, notes });
  });
  const makeApp = useAction(async () => {
    const { page } = await client.read(
      client.api.forges[":name"].app.$post({ param: { name: name.value }, json: { url: url.value } }),
    );
    location.assign(page);
  });
  return (
    <form
      class="form"
      onSubmit={(event) => {
        event.preventDefault();
        void add.run();
      }}
    >
      <h3>Connect a forge</h3>
      <div class="choices">
        <Field label="Kind of forge">
          <select
            value={kind.value}
            onChange={({ currentTarget: { value } }) => {
              const next = kindNames.find((each) => each === value) ?? "github";
              // What was filled in by itself is for the kind before.
              if (name.value === usual[kind.value].name) name.value = usual[next].name;
              if (url.value === usual[kind.value].url) url.value = usual[next].url;
              kind.value = next;
            }}
          >
            {Object.entries(kinds).map(([value, words]) => (
              <option key={value} value={value}>
                {words}
              </option>
            ))}
          </select>
        </Field>
        <Field label="Forge's name">
          <input
            type="text"
            required
            value={name.value}
            onInput={(event) => (name.value = event.currentTarget.value)}
          />
        </Field>
        <Field label="Its address">
          <input
            type="url"
            required
            placeholder="https://git.example.com"
            value={url.value}
            onInput={(event) => (url.value = event.currentTarget.value)}
          />
        </Field>
        {kind.value === "git" && (
          <Field label="User">
            <input
              type="text"
              autocomplete="off"
              value={user.value}
              onInput={(event) => (user.value = event.currentTarget.value)}
            />
          </Field>
        )}
        <Field
          label="Forge's token"
          hint={`${usual[kind.value].token} Kept encrypted on the appliance; no sandbox ever sees it.`}
        >
          <input
            type="password"
            autocomplete="off"
            placeholder="empty for public repositories alone"
            value={token.value}
            onInput={(event) => (token.value = event.currentTarget.value)}
          />
        </Field>
      </div>
      <FailureNote failure={add.failure.value ?? makeApp.failure.value} />
      <div class="actions">
        <button type="submit" class="primary" disabled={add.busy.value}>
          Connect forge
        </button>
        {kind.value === "github" && (
          <button type="button" disabled={makeApp.busy.value} onClick={() => void makeApp.run()}>
            Make a GitHub App instead
          </button>
        )}
      </div>
    </form>
  );
}
