import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useAppliance } from "../appliance.ts";
import { ConfirmButton } from "../parts/controls.tsx";
import { FailureNote } from "../parts/failure.tsx";
import { useAction } from "../parts/hooks.ts";
import { StateIcon } from "../parts/icon.tsx";
import { later } from "../parts/later.tsx";
import { shownState } from "../states.ts";
import { timeAgo } from "../words.ts";
import type { TaskDetail, TaskFeed } from "./task-feed.ts";

const CommandPanel = later(
  "the command",
  async () => (await import("../parts/command-panel.tsx")).CommandPanel,
);

/** State and what can be done about it; it stays in view however long the transcript is. */
export function TaskActions({
  feed,
  detail,
  children,
}: {
  feed: TaskFeed;
  detail: TaskDetail;
  children: ComponentChildren;
}) {
  const { client, now } = useAppliance();
  const { task, questions } = detail;
  const { word, tone, ended, icon } = shownState(task);
  const param = { id: task.id };
  const inCli = useSignal(false);
  const cancel = useAction(async () => {
    await client.read(client.api.tasks[":id"].cancel.$post({ param }));
    feed.refresh();
  });
  const interrupt = useAction(async () => {
    await client.read(client.api.tasks[":id"].interrupt.$post({ param }));
  });
  const asked = task.state === "waiting" ? questions[0]?.askedAt : undefined;
  return (
    <div class="actions">
      <span class={`state ${tone}`} role="status">
        <StateIcon state={icon} />
        {word}
        {task.queuePosition !== undefined && ` · number ${task.queuePosition} in line`}
        {asked !== undefined && ` · ${timeAgo(asked, now.value)}`}
      </span>
      {(task.state === "running" || task.state === "waiting") && (
        <button
          type="button"
          class="small"
          disabled={interrupt.busy.value}
          title="End this turn; the task stays, and what waits is held"
          onClick={() => void interrupt.run()}
        >
          Interrupt
        </button>
      )}
      {!ended && (
        <ConfirmButton
          label="Stop"
          question="Stop the task? What it pushed stays."
          yes="Yes, stop"
          disabled={cancel.busy.value}
          onConfirm={() => void cancel.run()}
        />
      )}
      {task.repositories.length > 0 && (
        <button
          type="button"
          class="small"
          aria-expanded={inCli.value}
          onClick={() => (inCli.value = !inCli.value)}
        >
          Open in CLI
        </button>
      )}
      {children}
      {inCli.value && <CommandPanel wanted={{ kind: "teleport", taskId: task.id }} />}
      <FailureNote failure={cancel.failure.value ?? interrupt.failure.value} />
    </div>
  );
}
