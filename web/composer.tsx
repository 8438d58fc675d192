import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { useAppliance } from "./appliance.ts";
import { BranchField } from "./branch-field.tsx";
import { AgentField, type Mode, ModeField, ModelField } from "./parts/agent-fields.tsx";
import { AttachButton, AttachedFiles, useAttachments } from "./parts/attachments.tsx";
import { Chooser } from "./parts/chooser.tsx";
import { Field } from "./parts/controls.tsx";
import { FailureNote } from "./parts/failure.tsx";
import { submits, submitting, takeSent, useAction, useDraft, useLoaded } from "./parts/hooks.ts";
import { later } from "./parts/later.tsx";
import { useRouter } from "./router.tsx";

const demoPrompts = [
  { label: "Fix a failing test", prompt: "demo: fix-test" },
  { label: "Ask a question", prompt: "demo: ask" },
  { label: "Take 30 seconds", prompt: "demo: slow 30" },
  { label: "Use 200 tools", prompt: "demo: many-tools 200" },
  { label: "Fail", prompt: "demo: fail" },
];

const CommandPanel = later(
  "the command",
  async () => (await import("./parts/command-panel.tsx")).CommandPanel,
);
const ForgeDialog = later("the forges", async () => (await import("./forge-dialog.tsx")).ForgeDialog);

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
  const agent = useDraft("agent", "claude");
  const model = useDraft("model");
  const draftMode = useDraft("mode", "act");
  const mode: Mode = draftMode.value === "plan" ? "plan" : "act";
  const attachments = useAttachments();
  const handingOver = useSignal(false);
  const attempts = useDraft("attempts", "1");
  const choices = useLoaded(
    async () => ({
      repositories: await client.read(client.api.repositories.$get()),
      environments: await client.read(client.api.environments.$get()),
      forges: await client.read(client.api.forges.$get()),
    }),
    [],
  );
  const loaded = choices.state.value;
  const { repositories, environments, forges } =
    loaded.kind === "loaded" ? loaded.value : { repositories: [], environments: [], forges: [] };
  // What is handed over before has no repository, and nobody meant that.
  const ready = loaded.kind === "loaded";
  /** What was looked for, while a repository of a forge is being added. */
  const adding = useSignal<string | undefined>(undefined);
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
    const json = {
      prompt: prompt.value,
      repositories:
        chosen === undefined ? [] : [{ name: chosen.name, ...(base !== "" && { baseBranch: base }) }],
      environment: place,
      pullRequest: wish,
      agent: agent.value,
      model: model.value,
      mode,
      attachments: attachments.ids(),
    };
    const several = Number(attempts.value);
    const made =
      several > 1
        ? `/groups/${(await client.read(client.api.groups.$post({ json: { ...json, attempts: several } }))).id}`
        : `/tasks/${(await client.read(client.api.tasks.$post({ json }))).id}`;
    takeSent(prompt, json.prompt);
    attachments.clear(json.attachments);
    attempts.value = "1";
    draftMode.value = "act";
    router.go(made);
  });

  return (
    <>
      <form class="composer" {...attachments.handlers} onSubmit={submitting(submit)}>
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
            if (ready && !attachments.busy()) void submit.run();
          }}
        />
        <AttachedFiles attachments={attachments} />
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
          <Chooser
            label="Repository"
            name="repository"
            value={chosen?.name ?? "-"}
            choices={[
              ...repositories.map(({ name, forge }) => ({
                value: name,
                words: name,
                ...(forge !== undefined && { aside: forge }),
              })),
              { value: "-", words: "no repository" },
            ]}
            onChoose={(name) => {
              if (name === (chosen?.name ?? "-")) return;
              repository.value = name;
              branch.value = "";
            }}
            {...(forges.length > 0 && {
              more: {
                words: "Add a repository from a forge…",
                run: (typed: string) => (adding.value = typed),
              },
            })}
          />
          {chosen !== undefined && (
            <BranchField
              key={chosen.name}
              repository={chosen}
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
          <Field label="Agent">
            <AgentField
              value={agent.value}
              onChoose={(name) => {
                agent.value = name;
                model.value = "";
              }}
            />
          </Field>
          <Field label="Model">
            <ModelField agent={agent.value} value={model.value} onChoose={(name) => (model.value = name)} />
          </Field>
          <Field label="Mode">
            <ModeField value={mode} onChoose={(chosen) => (draftMode.value = chosen)} />
          </Field>
          <Field label="Attempts">
            <select
              name="attempts"
              value={attempts.value}
              onChange={(event) => (attempts.value = event.currentTarget.value)}
            >
              <option value="1">1</option>
              {[2, 3, 4, 5, 6, 7, 8].map((count) => (
                <option key={count} value={String(count)}>
                  {count}, to keep one
                </option>
              ))}
            </select>
          </Field>
        </div>
        {loaded.kind === "failed" && <FailureNote failure={loaded.failure} retry={choices.reload} />}
        <FailureNote failure={submit.failure.value ?? attachments.failure.value} />
        <div class="actions">
          <button type="submit" class="primary" disabled={!ready || submit.busy.value || attachments.busy()}>
            {submit.busy.value ? "Submitting…" : "Submit task"}
          </button>
          <AttachButton attachments={attachments} />
          <button
            type="button"
            class="small"
            aria-expanded={handingOver.value}
            title="Hand over a conversation that runs in Claude Code on your machine"
            onClick={() => (handingOver.value = !handingOver.value)}
          >
            From a terminal
          </button>
          <span class="dim keys">
            <kbd>Ctrl</kbd> or <kbd>⌘</kbd> <kbd>Enter</kbd>
          </span>
        </div>
        {handingOver.value && <CommandPanel wanted={{ kind: "handover" }} />}
      </form>
      {adding.value !== undefined && (
        <ForgeDialog
          forges={forges}
          start={adding.value}
          onPick={(name) => {
            repository.value = name;
            branch.value = "";
            choices.reload();
          }}
          onClose={() => (adding.value = undefined)}
        />
      )}
    </>
  );
}
