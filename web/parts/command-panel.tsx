import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { useAppliance } from "../appliance.ts";
import { Copyable } from "./controls.tsx";
import { FailureNote } from "./failure.tsx";
import { useAction } from "./hooks.ts";

/** A command for a person's own machine: to go on there with a task, or to hand over what runs there. */
export function CommandPanel({
  wanted,
}: {
  wanted: { kind: "teleport"; taskId: string } | { kind: "handover" };
}) {
  const { client, now } = useAppliance();
  const made = useSignal<{ command: string; expiresAt: number } | undefined>(undefined);
  const ask = useAction(async () => {
    made.value = await client.read(
      wanted.kind === "teleport"
        ? client.api.tasks[":id"].teleport.$post({ param: { id: wanted.taskId } })
        : client.api.handovers.$post({ json: {} }),
    );
  });
  useEffect(() => void ask.run(), []);
  const found = made.value;
  const minutes = found === undefined ? 0 : Math.round((found.expiresAt - now.value) / 60_000);
  return (
    <section class="command-panel" aria-label={wanted.kind === "teleport" ? "Open in CLI" : "Hand over"}>
      <p>
        {wanted.kind === "teleport"
          ? "Paste this in a checkout of the repository. It stashes your local changes, checks the task's branch out as it is after its last turn, and goes on with the conversation in Claude Code."
          : "Paste this in the folder where Claude Code runs. It sends the newest conversation and the files as they are, uncommitted ones too, and a new task goes on with them here. Your checkout stays as it is."}
      </p>
      {ask.busy.value && <p role="status">Making the command…</p>}
      {found !== undefined && minutes > 0 && (
        <>
          <Copyable text={found.command} label="the command" />
          <p class="dim" role="status">
            Good for {minutes} more {minutes === 1 ? "minute" : "minutes"}, for whoever has it: give it to
            nobody.
          </p>
        </>
      )}
      {found !== undefined && minutes <= 0 && (
        <button type="button" class="small" disabled={ask.busy.value} onClick={() => void ask.run()}>
          Make a new command
        </button>
      )}
      <FailureNote failure={ask.failure.value} />
    </section>
  );
}
