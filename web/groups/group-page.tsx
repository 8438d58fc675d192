import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { GroupJson, TaskJson } from "../../src/client.ts";
import { diffStat } from "../../src/domain/diff-stat.ts";
import { useAppliance } from "../appliance.ts";
import { ConfirmButton } from "../parts/controls.tsx";
import { FailureNote } from "../parts/failure.tsx";
import { useAction, useLoaded } from "../parts/hooks.ts";
import { Icon, StateIcon } from "../parts/icon.tsx";
import { LongText } from "../parts/long-text.tsx";
import { Link } from "../router.tsx";
import { states } from "../states.ts";
import { BranchDiff } from "../task/diff-tab.tsx";
import { Counts } from "../task/repository-diff.tsx";
import { plainLine } from "../text/plain.ts";
import { amount, counted, duration } from "../words.ts";

/** Several attempts at one prompt side by side: how they stand, what they changed, and which is kept. */
export function GroupPage({ id }: { id: string }) {
  const { client, tasks } = useAppliance();
  // Asked anew when one of them changes.
  const news = (tasks.value ?? [])
    .filter(({ attempt }) => attempt?.groupId === id)
    .map(({ state, updatedAt, outputTokens }) => `${state} ${updatedAt} ${outputTokens}`)
    .join();
  const { state, reload } = useLoaded(
    () => client.read(client.api.groups[":id"].$get({ param: { id } })),
    [id, news],
  );
  const keep = useAction(async (taskId: string) => {
    await client.read(client.api.groups[":id"].keep.$post({ param: { id }, json: { taskId } }));
    reload();
  });
  const loaded = state.value;
  const title = loaded.kind === "loaded" ? plainLine(loaded.value.title) : "Attempts";
  useEffect(() => {
    document.title = `${title} · ccw-server`;
  }, [title]);
  return (
    <div class="page attempts">
      <Link to="/" class="back">
        <Icon name="back" /> All tasks
      </Link>
      {loaded.kind === "loading" && <p class="empty">Loading the attempts…</p>}
      {loaded.kind === "failed" && <FailureNote failure={loaded.failure} retry={reload} />}
      {loaded.kind === "loaded" && (
        <>
          <h1>{title}</h1>
          <p class="dim">
            {counted(loaded.value.tasks.length, "attempt")} at one prompt, by {plainLine(loaded.value.person)}
            . Each has a sandbox and a branch of its own; when one is kept, the others are cancelled, and
            their branches stay.
          </p>
          <LongText text={loaded.value.prompt} lines={4} />
          <FailureNote failure={keep.failure.value} />
          <div class="attempt-columns">
            {loaded.value.tasks.map((task) => (
              <AttemptColumn
                key={task.id}
                task={task}
                group={loaded.value}
                busy={keep.busy.value}
                onKeep={() => void keep.run(task.id)}
              />
            ))}
          </div>
        </>
      )}
    </div>
  );
}

function AttemptColumn(props: { task: TaskJson; group: GroupJson; busy: boolean; onKeep: () => void }) {
  const { task, group } = props;
  const { client } = useAppliance();
  const open = useSignal(true);
  const { word, tone } = states[task.state];
  const { state, reload } = useLoaded(
    () => client.read(client.api.tasks[":id"].diff.$get({ param: { id: task.id } })),
    [task.id, task.state],
  );
  const loaded = state.value;
  const kept = group.kept === task.id;
  const name = `attempt ${task.attempt?.number ?? ""}`;
  return (
    <section class={kept ? "attempt kept" : "attempt"} aria-label={name}>
      <h2>
        <Link to={`/tasks/${task.id}`}>Attempt {task.attempt?.number}</Link>{" "}
        {kept && <span class="chip good">Kept</span>}
      </h2>
      <p class="facts">
        <span class={`state ${tone}`}>
          <StateIcon state={task.state} />
          {word}
        </span>
        {task.model !== "" && <span>{plainLine(task.model)}</span>}
        <span>
          {amount(task.inputTokens)} tokens in, {amount(task.outputTokens)} out
        </span>
        <span>{duration(task.updatedAt - task.createdAt)}</span>
        {loaded.kind === "loaded" && <Stat diffs={loaded.value.map(({ diff }) => diff)} />}
      </p>
      <div class="actions">
        {group.kept === undefined && (
          <ConfirmButton
            label="Keep this one"
            question="Keep it and cancel the others?"
            yes="Yes, keep it"
            disabled={props.busy}
            onConfirm={props.onKeep}
          />
        )}
        {loaded.kind === "loaded" && loaded.value.length > 0 && (
          <button
            type="button"
            class="link"
            aria-expanded={open.value}
            onClick={() => (open.value = !open.value)}
          >
            {open.value ? "Hide the diff" : "Show the diff"}
          </button>
        )}
      </div>
      {task.detail !== "" && <LongText text={task.detail} lines={8} />}
      {loaded.kind === "failed" && <FailureNote failure={loaded.failure} retry={reload} />}
      {loaded.kind === "loaded" &&
        open.value &&
        loaded.value.map((diff) => <BranchDiff key={diff.repository} within={`${task.id}-`} {...diff} />)}
    </section>
  );
}

function Stat({ diffs }: { diffs: string[] }) {
  const all = diffs.map(diffStat);
  const sum = (key: "files" | "added" | "removed") => all.reduce((total, each) => total + each[key], 0);
  return (
    <span>
      {counted(sum("files"), "file")}, <Counts added={sum("added")} removed={sum("removed")} />
    </span>
  );
}
