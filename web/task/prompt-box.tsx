import { useSignal } from "@preact/signals";
import type { TaskJson } from "../../src/client.ts";
import { useAppliance } from "../appliance.ts";
import { type Mode, ModeField, ModelField } from "../parts/agent-fields.tsx";
import { AttachButton, AttachedFiles, useAttachments } from "../parts/attachments.tsx";
import { FailureNote } from "../parts/failure.tsx";
import { submits, takeSent, useAction, useDraft } from "../parts/hooks.ts";
import { plain } from "../text/plain.ts";
import { HoldBanner } from "./hold-banner.tsx";
import { type Editing, PromptQueue } from "./prompt-queue.tsx";
import type { PromptRow, TaskDetail, TaskFeed } from "./task-feed.ts";

/** One more prompt, whatever state the task is in; what waits for the agent is shown above it. */
export function PromptBox({ detail, feed }: { detail: TaskDetail; feed: TaskFeed }) {
  const { client } = useAppliance();
  const { task, prompts } = detail;
  const text = useDraft(`prompt:${task.id}`);
  const attachments = useAttachments();
  const editing: Editing = useSignal(undefined);
  const send = useAction(async (now: boolean) => {
    const json = { text: text.value, attachments: attachments.ids(), now };
    await client.read(client.api.tasks[":id"].prompts.$post({ param: { id: task.id }, json }));
    takeSent(text, json.text);
    attachments.clear(json.attachments);
    feed.refresh();
  });
  const change = useAction(async (json: { model: string } | { mode: Mode }) => {
    try {
      await client.read(client.api.tasks[":id"].$patch({ param: { id: task.id }, json }));
    } finally {
      feed.refresh();
    }
  });
  const waiting = waitingOf(task, prompts);
  const turnRuns = task.state === "running" || task.state === "waiting";
  const lost = editing.value !== undefined && waiting.every(({ id }) => id !== editing.value?.id);
  const { label, placeholder } = wordsFor(task);
  const off = send.busy.value || attachments.busy();

  return (
    <>
      <HoldBanner task={task} waiting={waiting.length} onChanged={feed.refresh} />
      {waiting.length > 0 && (
        <PromptQueue
          taskId={task.id}
          prompts={waiting}
          turnRuns={turnRuns}
          editing={editing}
          onChanged={feed.refresh}
        />
      )}
      {lost && editing.value !== undefined && (
        <div class="note ask" role="alert">
          <div>
            <p>The prompt that you were changing has been taken. What you typed:</p>
            <p>{plain(editing.value.text)}</p>
          </div>
          <button
            type="button"
            class="small"
            onClick={() => {
              text.value = [text.value, editing.value?.text ?? ""].filter(Boolean).join("\n\n");
              editing.value = undefined;
            }}
          >
            Make it a new prompt
          </button>
          <button type="button" class="small" onClick={() => (editing.value = undefined)}>
            Drop it
          </button>
        </div>
      )}
      <form
        class="prompt-box"
        {...attachments.handlers}
        onSubmit={(event) => {
          event.preventDefault();
          void send.run(false);
        }}
      >
        <textarea
          rows={2}
          aria-label="Another prompt"
          placeholder={placeholder}
          value={text.value}
          onInput={(event) => (text.value = event.currentTarget.value)}
          onKeyDown={(event) => {
            if (!submits(event)) return;
            event.preventDefault();
            if (!off) void send.run(turnRuns && event.shiftKey);
          }}
        />
        <AttachedFiles attachments={attachments} />
        <div class="prompt-row">
          <AttachButton attachments={attachments} />
          <ModelField
            agent={task.agent}
            bare
            value={task.model}
            disabled={change.busy.value}
            onChoose={(model) => void change.run({ model })}
          />
          <ModeField
            bare
            value={task.mode}
            disabled={change.busy.value}
            onChoose={(mode) => void change.run({ mode })}
          />
          <span class="prompt-buttons">
            {turnRuns && (
              <button
                type="button"
                disabled={off}
                title="The agent reads it at its next step (Ctrl Shift Enter)"
                onClick={() => void send.run(true)}
              >
                Send now
              </button>
            )}
            <button type="submit" class="primary" disabled={off} title="Ctrl Enter">
              {send.busy.value ? "Sending…" : label}
            </button>
          </span>
        </div>
      </form>
      <FailureNote failure={send.failure.value ?? change.failure.value ?? attachments.failure.value} />
    </>
  );
}

/** Those that the agent has not taken. The one that a task begins with stands in the transcript, unless it can wait for long. */
function waitingOf(task: TaskJson, prompts: readonly PromptRow[]): PromptRow[] {
  const waiting = prompts.filter(({ state }) => state === "queued" || state === "sent");
  const begins = prompts.filter(({ state }) => state !== "removed").length === 1;
  const shown = waiting.filter(({ state, now }) => state === "queued" || now);
  return begins && task.state !== "queued" ? [] : shown;
}

function wordsFor({ state, held, sandbox }: TaskJson): { label: string; placeholder: string } {
  switch (state) {
    case "queued":
    case "starting":
    case "running":
    case "waiting":
    case "finishing":
      return { label: "Queue", placeholder: "Add a prompt to the queue. It runs after the current turn." };
    case "idle":
      return {
        label: "Send",
        placeholder: held
          ? "Say how to go on. It runs before what waits."
          : "What next? The sandbox is awake.",
      };
    case "paused":
    case "completed":
    case "failed":
    case "cancelled":
      return {
        label: "Continue",
        placeholder:
          sandbox.state === "none"
            ? "Go on with another prompt, in a new sandbox, from where the work stands."
            : "Go on with another prompt, in the same sandbox.",
      };
  }
}
