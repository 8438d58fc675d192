import { useEffect } from "preact/hooks";
import type { TaskJson } from "../../src/client.ts";
import { useAppliance } from "../appliance.ts";
import { FailureNote } from "../parts/failure.tsx";
import { useAction, useLoaded } from "../parts/hooks.ts";
import { TaskRow } from "../task-list.tsx";
import { plainLine } from "../text/plain.ts";
import { duration, timeAgo } from "../words.ts";

/** What was archived, or deleted and can be restored still. */
export function ShelfList(props: { shelf: "archived" | "deleted"; currentId: string | undefined }) {
  const { shelf, currentId } = props;
  const { client, tasks } = useAppliance();
  const { state, reload } = useLoaded(
    () => client.read(client.api.tasks.$get({ query: { show: shelf, limit: "200" } })),
    [shelf],
  );
  // Whatever is put away or taken back changes the live list, too.
  useEffect(reload, [tasks.value]);
  switch (state.value.kind) {
    case "loading":
      return (
        <p class="empty" role="status">
          Loading…
        </p>
      );
    case "failed":
      return <FailureNote failure={state.value.failure} retry={reload} />;
    case "loaded":
      if (state.value.value.length === 0) {
        return (
          <p class="empty">{shelf === "archived" ? "No task is archived." : "No deleted task is left."}</p>
        );
      }
      return (
        <ul class="task-list">
          {state.value.value.map((task) => (
            <li key={task.id}>
              {shelf === "archived" ? (
                <TaskRow task={task} current={task.id === currentId} />
              ) : (
                <DeletedRow task={task} onRestored={reload} />
              )}
            </li>
          ))}
        </ul>
      );
  }
}

function DeletedRow({ task, onRestored }: { task: TaskJson; onRestored: () => void }) {
  const { client, now } = useAppliance();
  const { at = 0, removeAt = 0 } = task.deletion ?? {};
  const restore = useAction(async () => {
    await client.read(client.api.tasks[":id"].restore.$post({ param: { id: task.id } }));
    onRestored();
  });
  const left = removeAt - now.value;
  return (
    <div class="task-row deleted">
      <span class="task-title">{plainLine(task.title)}</span>
      <span class="task-facts">
        <span class="dim">Deleted {timeAgo(at, now.value)}</span>
        {left <= 0 ? (
          <span class="dim">is being removed</span>
        ) : (
          <>
            <span class="dim">
              {left > 5_400_000 ? `${Math.round(left / 3_600_000)} h` : duration(left)} left
            </span>
            <button
              type="button"
              class="small"
              disabled={restore.busy.value}
              onClick={() => void restore.run()}
            >
              Restore
            </button>
          </>
        )}
      </span>
      <FailureNote failure={restore.failure.value} />
    </div>
  );
}
