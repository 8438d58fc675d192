import type { TaskJson } from "../../src/client.ts";
import { useAppliance } from "../appliance.ts";
import { FailureNote } from "../parts/failure.tsx";
import { submits, useAction, useDraft } from "../parts/hooks.ts";
import { states } from "../states.ts";
import { plain, plainLine } from "../text/plain.ts";
import type { PromptItem } from "./item.ts";

/** One more prompt, for as long as the task takes any; what waits for the agent is shown above it. */
export function PromptBox({ task, waiting }: { task: TaskJson; waiting: readonly PromptItem[] }) {
  const { client } = useAppliance();
  const text = useDraft(`prompt:${task.id}`);
  const send = useAction(async () => {
    await client.read(
      client.api.tasks[":id"].prompts.$post({ param: { id: task.id }, json: { text: text.value } }),
    );
    text.value = "";
  });
  const { ended } = states[task.state];
  const takes = !ended && task.state !== "finishing";

  return (
    <>
      {waiting.length > 0 && (
        <ul class="waiting" aria-label="Prompts that wait">
          {waiting.map((prompt) => (
            <li key={prompt.key}>
              <span class="chip quiet">{ended ? "Not taken" : "Waits"}</span>
              <span class="dim">{plainLine(prompt.person)}</span>
              <span class="waiting-text">{plain(prompt.text).slice(0, 500)}</span>
            </li>
          ))}
        </ul>
      )}
      {takes && (
        <form
          class="prompt-box"
          onSubmit={(event) => {
            event.preventDefault();
            void send.run();
          }}
        >
          <textarea
            rows={2}
            aria-label="Another prompt"
            placeholder="Send another prompt. It runs after the current step."
            value={text.value}
            onInput={(event) => (text.value = event.currentTarget.value)}
            onKeyDown={(event) => {
              if (!submits(event)) return;
              event.preventDefault();
              void send.run();
            }}
          />
          <button type="submit" class="primary" disabled={send.busy.value}>
            {send.busy.value ? "Sending…" : "Send"}
          </button>
        </form>
      )}
      {!takes && text.value !== "" && (
        <div class="note">
          <p>
            The task takes no more prompts. What you typed: <em>{plain(text.value)}</em>
          </p>
        </div>
      )}
      <FailureNote failure={send.failure.value} />
    </>
  );
}
