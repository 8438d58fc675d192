import { useSignal } from "@preact/signals";
import type { TaskJson } from "../../src/client.ts";
import { useAppliance } from "../appliance.ts";
import { FailureNote } from "../parts/failure.tsx";
import { submitting, useAction } from "../parts/hooks.ts";
import { Icon } from "../parts/icon.tsx";
import { plainLine } from "../text/plain.ts";

/** Work that its forge did not take at the task's end: the appliance has it, and pushes it when a person says so. */
export function KeptWorkNote({ task, onPushed }: { task: TaskJson; onPushed: () => void }) {
  const { client } = useAppliance();
  const own = task.kept[0]?.branch ?? "";
  const branch = useSignal(own);
  const push = useAction(async () => {
    const wanted = branch.value.trim();
    const json = wanted === "" || wanted === own ? {} : { branch: wanted };
    await client.read(client.api.tasks[":id"].push.$post({ param: { id: task.id }, json }));
    onPushed();
  });
  return (
    <>
      <div class="note ask" role="status">
        <Icon name="warning" />
        <div>
          {task.kept.map(({ repository, commit, until }) => (
            <p key={repository}>
              The forge of {plainLine(repository)} did not take the work. The appliance keeps it, at{" "}
              <code>{commit.slice(0, 10)}</code>
              {until !== undefined && <>, until {new Date(until).toLocaleDateString()}</>}.
            </p>
          ))}
        </div>
      </div>
      <form class="actions kept-push" onSubmit={submitting(push)}>
        <label class="field">
          <span class="field-label">Branch</span>
          <input
            value={branch.value}
            maxLength={244}
            spellcheck={false}
            onInput={(event) => (branch.value = event.currentTarget.value)}
          />
        </label>
        <button type="submit" class="primary" disabled={push.busy.value}>
          {push.busy.value ? "Pushing…" : "Push now"}
        </button>
      </form>
      <FailureNote failure={push.failure.value} />
    </>
  );
}
