import { useEffect, useRef } from "preact/hooks";
import { useAppliance } from "./appliance.ts";
import { Field } from "./parts/controls.tsx";
import { FailureNote } from "./parts/failure.tsx";
import { submits, useAction, useDraft, useLoaded } from "./parts/hooks.ts";
import { useRouter } from "./router.tsx";

const demoPrompts = [
  { label: "Fix a failing test", prompt: "demo: fix-test" },
  { label: "Ask a question", prompt: "demo: ask" },
  { label: "Take 30 seconds", prompt: "demo: slow 30" },
  { label: "Use 200 tools", prompt: "demo: many-tools 200" },
  { label: "Fail", prompt: "demo: fail" },
];

const wishes = [
  { value: "none", words: "by hand" },
  { value: "draft", words: "draft at the end" },
  { value: "ready", words: "ready at the end" },
] as const;

/** Hands over a task. What is typed stays until the appliance has taken it. */
export function Composer() {
  const { client, status } = useAppliance();
  const router = useRouter();
  const typing = useRef<HTMLTextAreaElement>(null);
  // On a phone the keyboard would cover the page.
  useEffect(() => {
    if (matchMedia("(min-width: 900px)").matches) typing.current?.focus();
  }, []);
  const prompt = useDraft("prompt");
  const repository = useDraft("repository");
  const branch = useDraft("branch");
  const environment = useDraft("environment");
  const pullRequest = useDraft("pull-request");
  const choices = useLoaded(
    async () => ({
      repositories: await client.read(client.api.repositories.$get()),
      environments: await client.read(client.api.environments.$get()),
    }),
    [],
  );
  const loaded = choices.state.value;
  const { repositories, environments } =
    loaded.kind === "loaded" ? loaded.value : { repositories: [], environments: [] };
  // An empty choice is the usual one; "-" is none on purpose.
  const chosen =
    repository.value === "-"
      ? undefined
      : (repositories.find(({ name }) => name === repository.value) ?? repositories[0]);

  // A draft may name what is gone by now.
  const base = repository.value === "" || repository.value === chosen?.name ? branch.value : "";
  const place = environments.some(({ name }) => name === environment.value) ? environment.value : "default";

  const wish = wishes.find(({ value }) => value === pullRequest.value)?.value ?? "none";

  const submit = useAction(async () => {
    const task = await client.read(
      client.api.tasks.$post({
        json: {
          prompt: prompt.value,
          repositories:
            chosen === undefined ? [] : [{ name: chosen.name, ...(base !== "" && { baseBranch: base }) }],
          environment: place,
          pullRequest: wish,
        },
      }),
    );
    prompt.value = "";
    router.go(`/tasks/${task.id}`);
  });

  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        void submit.run();
      }}
    >
      <h1>What is to be done?</h1>
      <textarea
        ref={typing}
        aria-label="Prompt"
        name="prompt"
        rows={6}
        placeholder="Say it in plain words. The agent works in a sandbox of its own and pushes a branch."
        value={prompt.value}
        onInput={(event) => {
          prompt.value = event.currentTarget.value;
        }}
        onKeyDown={(event) => {
          if (!submits(event)) return;
          event.preventDefault();
          void submit.run();
        }}
      />
      {status.value?.model.kind === "demo" && (
        <div class="demo-prompts">
          <span class="dim">The demo model plays:</span>
          {demoPrompts.map((demo) => (
            <button
              type="button"
              class="small"
              key={demo.prompt}
              onClick={() => (prompt.value = demo.prompt)}
            >
              {demo.label}
            </button>
          ))}
        </div>
      )}
      <div class="choices">
        <Field label="Repository">
          <select
            name="repository"
            value={chosen?.name ?? "-"}
            onChange={(event) => {
              repository.value = event.currentTarget.value;
              branch.value = "";
            }}
          >
            {repositories.map(({ name }) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
            <option value="-">no repository</option>
          </select>
        </Field>
        {chosen !== undefined && (
          <BranchField
            key={chosen.name}
            repository={chosen.name}
            usual={chosen.defaultBranch}
            value={base}
            onChoose={(name) => (branch.value = name)}
          />
        )}
        <Field label="Environment">
          <select
            name="environment"
            value={place}
            onChange={(event) => (environment.value = event.currentTarget.value)}
          >
            {environments.map(({ name }) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        </Field>
        {chosen !== undefined && (
          <Field label="Pull request">
            <select
              name="pull-request"
              value={wish}
              onChange={(event) => (pullRequest.value = event.currentTarget.value)}
            >
              {wishes.map(({ value, words }) => (
                <option key={value} value={value}>
                  {words}
                </option>
              ))}
            </select>
          </Field>
        )}
      </div>
      {loaded.kind === "failed" && <FailureNote failure={loaded.failure} retry={choices.reload} />}
      <FailureNote failure={submit.failure.value} />
      <div class="actions">
        <button type="submit" class="primary" disabled={submit.busy.value}>
          {submit.busy.value ? "Submitting…" : "Submit task"}
        </button>
        <span class="dim keys">
          <kbd>Ctrl</kbd> or <kbd>⌘</kbd> <kbd>Enter</kbd>
        </span>
      </div>
    </form>
  );
}

function BranchField(props: {
  repository: string;
  usual: string;
  value: string;
  onChoose: (branch: string) => void;
}) {
  const { client } = useAppliance();
  const { state } = useLoaded(
    () => client.read(client.api.branches.$get({ query: { repository: props.repository } })),
    [props.repository],
  );
  const branches = state.value.kind === "loaded" ? state.value.value : [];
  const all = branches.includes(props.usual) ? branches : [props.usual, ...branches];
  const hint = state.value.kind === "loaded" && branches.length === 0 ? "No commits yet." : undefined;
  return (
    <Field label="Branch" {...(hint !== undefined && { hint })}>
      <select
        name="branch"
        value={props.value === "" ? props.usual : props.value}
        onChange={(event) => props.onChoose(event.currentTarget.value)}
      >
        {all.map((name) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
      </select>
    </Field>
  );
}
