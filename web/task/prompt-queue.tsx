import { type Signal, useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { useAppliance } from "../appliance.ts";
import { FileView } from "../parts/attachments.tsx";
import { FailureNote } from "../parts/failure.tsx";
import { submits, useAction } from "../parts/hooks.ts";
import { Icon } from "../parts/icon.tsx";
import { plain, plainLine } from "../text/plain.ts";
import type { PromptRow } from "./task-feed.ts";

/** A prompt whose words are being changed; kept outside, since the agent may take the prompt meanwhile. */
export type Editing = Signal<{ id: string; text: string } | undefined>;

interface QueueProps {
  taskId: string;
  /** In the order in which they are taken. */
  prompts: readonly PromptRow[];
  /** Whether a turn runs that a prompt can be sent into. */
  turnRuns: boolean;
  editing: Editing;
  onChanged: () => void;
}

/** The prompts that wait: changed, moved by keys or by dragging, sent at once, taken back. */
export function PromptQueue({ taskId, prompts, turnRuns, editing, onChanged }: QueueProps) {
  const { client } = useAppliance();
  const one = client.api.tasks[":id"].prompts[":promptId"];
  const dragged = useSignal<string | undefined>(undefined);
  const over = useSignal<string | undefined>(undefined);
  const said = useSignal("");

  const act = useAction(async (work: () => Promise<unknown>) => {
    try {
      await work();
    } finally {
      onChanged();
    }
  });
  const param = (prompt: PromptRow) => ({ id: taskId, promptId: prompt.id });
  const move = (prompt: PromptRow, position: number) =>
    act.run(async () => {
      await client.read(one.move.$post({ param: param(prompt), json: { position } }));
      said.value = `Moved to place ${position}.`;
    });
  const last = prompts.filter(({ position }) => position !== undefined).length;

  return (
    <>
      <ol class="queue" aria-label="Prompts that wait">
        {prompts.map((prompt) => {
          const { id, position } = prompt;
          if (editing.value?.id === id && position !== undefined) {
            const { text } = editing.value;
            return (
              <li key={id} class="queued">
                <EditPrompt
                  label={`Prompt ${position}`}
                  text={text}
                  onInput={(typed) => (editing.value = { id, text: typed })}
                  onSave={() =>
                    void act.run(async () => {
                      await client.read(one.$patch({ param: param(prompt), json: { text } }));
                      editing.value = undefined;
                    })
                  }
                  onLeave={() => (editing.value = undefined)}
                />
              </li>
            );
          }
          return (
            <li
              key={id}
              class={over.value === id ? "queued over" : "queued"}
              draggable={position !== undefined}
              onDragStart={(event) => {
                dragged.value = id;
                event.dataTransfer?.setData("text/plain", prompt.text);
              }}
              onDragEnd={() => {
                dragged.value = undefined;
                over.value = undefined;
              }}
              onDragOver={(event) => {
                if (dragged.value === undefined || position === undefined) return;
                event.preventDefault();
                over.value = id;
              }}
              onDrop={(event) => {
                const moved = prompts.find((each) => each.id === dragged.value);
                over.value = undefined;
                if (moved === undefined || position === undefined) return;
                event.preventDefault();
                if (moved.id !== id) void move(moved, position);
              }}
            >
              <span class="place">{position ?? <span class="chip quiet">On its way</span>}</span>
              <span class="queued-text" title={plain(prompt.text).slice(0, 1000)}>
                {prompt.person !== "" && <span class="dim">{plainLine(prompt.person)} </span>}
                {plainLine(prompt.text.slice(0, 500))}
                {prompt.attachments.map((file) => (
                  <FileView key={file.id} file={file} />
                ))}
              </span>
              {position !== undefined && (
                <span class="queued-actions">
                  {turnRuns && (
                    <button
                      type="button"
                      class="small"
                      disabled={act.busy.value}
                      title="The agent reads it at its next step"
                      onClick={() =>
                        void act.run(() => client.read(one["send-now"].$post({ param: param(prompt) })))
                      }
                    >
                      Send now
                    </button>
                  )}
                  <IconButton
                    icon="up"
                    label={`Move prompt ${position} up`}
                    disabled={position === 1 || act.busy.value}
                    onClick={() => void move(prompt, position - 1)}
                  />
                  <IconButton
                    icon="down"
                    label={`Move prompt ${position} down`}
                    disabled={position === last || act.busy.value}
                    onClick={() => void move(prompt, position + 1)}
                  />
                  <IconButton
                    icon="edit"
                    label={`Edit prompt ${position}`}
                    // What is typed in another one would be gone.
                    disabled={editing.value !== undefined}
                    onClick={() => (editing.value = { id, text: prompt.text })}
                  />
                  <IconButton
                    icon="cross"
                    label={`Take prompt ${position} back`}
                    disabled={act.busy.value}
                    onClick={() =>
                      void act.run(async () => {
                        await client.read(one.$delete({ param: param(prompt) }));
                        said.value = "Taken back.";
                      })
                    }
                  />
                </span>
              )}
            </li>
          );
        })}
      </ol>
      <span class="unseen" role="status">
        {said.value}
      </span>
      <FailureNote failure={act.failure.value} />
    </>
  );
}

function EditPrompt(props: {
  label: string;
  text: string;
  onInput: (text: string) => void;
  onSave: () => void;
  onLeave: () => void;
}) {
  const area = useRef<HTMLTextAreaElement>(null);
  useLayoutEffect(() => area.current?.focus(), []);
  return (
    <form
      class="queued-edit"
      onSubmit={(event) => {
        event.preventDefault();
        props.onSave();
      }}
    >
      <textarea
        ref={area}
        rows={2}
        aria-label={props.label}
        value={props.text}
        onInput={(event) => props.onInput(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape") props.onLeave();
          if (!submits(event)) return;
          event.preventDefault();
          props.onSave();
        }}
      />
      <div class="actions">
        <button type="submit" class="small">
          Save
        </button>
        <button type="button" class="small" onClick={props.onLeave}>
          Leave it
        </button>
      </div>
    </form>
  );
}

function IconButton(props: {
  icon: "up" | "down" | "edit" | "cross";
  label: string;
  disabled?: boolean;
  onClick: () => void;
}) {
  return (
    <button
      type="button"
      class="icon-button"
      aria-label={props.label}
      title={props.label}
      disabled={props.disabled}
      onClick={props.onClick}
    >
      <Icon name={props.icon} />
    </button>
  );
}
