import { useSignal } from "@preact/signals";
import { useAppliance } from "../appliance.ts";
import { Field, SecretInput } from "../parts/controls.tsx";
import { FailureNote } from "../parts/failure.tsx";
import { submitting, useAction, useDraft } from "../parts/hooks.ts";

export const forgeKinds = {
  github: "GitHub",
  gitlab: "GitLab",
  gitea: "Gitea or Forgejo",
  git: "plain git server",
} as const;
type Kind = keyof typeof forgeKinds;

/** What a forge says of itself when it is asked with the credential. */
export interface ForgeAnswer {
  name: string;
  /** Empty where no credential is, or nobody can say whose it is. */
  account: string;
  notes: readonly string[];
}

/** Connects a forge with a token, or makes a GitHub App. */
export function ForgeForm({ done }: { done: (answer: ForgeAnswer) => void }) {
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
    <form class="form" onSubmit={submitting(add)}>
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
            {Object.entries(forgeKinds).map(([value, words]) => (
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
          <SecretInput secret={token} placeholder="empty for public repositories alone" />
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
