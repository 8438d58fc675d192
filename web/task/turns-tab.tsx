import { useSignal } from "@preact/signals";
import type { TaskJson } from "../../src/client.ts";
import { forkedTurn, turnInWords } from "../../src/domain/snapshots.ts";
import { useAppliance } from "../appliance.ts";
import { ConfirmButton } from "../parts/controls.tsx";
import { FailureNote } from "../parts/failure.tsx";
import { submits, submitting, useAction, useDraft, useLoaded } from "../parts/hooks.ts";
import { useRouter } from "../router.tsx";
import { plainLine } from "../text/plain.ts";
import { counted, timeAgo } from "../words.ts";
import { RepositoryDiff } from "./repository-diff.tsx";
import type { TaskFeed } from "./task-feed.ts";

interface Turn {
  turn: number;
  at: number;
  prompt: string;
  previous?: number | undefined;
  files?: number | undefined;
  kept: boolean;
}

const workingStates: readonly TaskJson["state"][] = ["queued", "starting", "running", "waiting", "finishing"];

/** What the task's files were after each turn: to look at, to take along, to go back to, to go on from. */
export function TurnsTab({ task, feed }: { task: TaskJson; feed: TaskFeed }) {
  const { client } = useAppliance();
  const { id } = task;
  const { state, reload } = useLoaded(
    () => client.read(client.api.tasks[":id"].snapshots.$get({ param: { id } })),
    [id, feed.transcript.value.saved, task.state],
  );
  const loaded = state.value;
  if (loaded.kind === "loading") {
    return (
      <p class="empty" role="status">
        Loading the turns…
      </p>
    );
  }
  if (loaded.kind === "failed") return <FailureNote failure={loaded.failure} retry={reload} />;
  if (loaded.value.length === 0)
    return <p class="empty">No turn has ended yet. After each, its files are kept here.</p>;
  const begun = loaded.value.some(({ previous }) => previous === forkedTurn) ? [forkedTurn] : [];
  return (
    <ol class="turns" aria-label="Turns, the newest first">
      {loaded.value.toReversed().map((turn) => (
        <TurnRow
          key={turn.turn}
          task={task}
          turn={turn}
          others={begun.concat(
            loaded.value.flatMap((each) => (each.kept && each.turn !== turn.turn ? [each.turn] : [])),
          )}
          onRolledBack={() => feed.refresh()}
        />
      ))}
    </ol>
  );
}

function TurnRow(props: { task: TaskJson; turn: Turn; others: number[]; onRolledBack: () => void }) {
  const { task, turn, others, onRolledBack } = props;
  const { client, now } = useAppliance();
  const open = useSignal<"diff" | "fork" | undefined>(undefined);
  const toggle = (part: "diff" | "fork") => {
    open.value = open.value === part ? undefined : part;
  };
  const rollBack = useAction(async () => {
    const param = { id: task.id };
    await client.read(client.api.tasks[":id"].rollback.$post({ param, json: { turn: turn.turn } }));
    onRolledBack();
  });
  const working = workingStates.includes(task.state);
  const step = turn.previous === undefined ? "" : `Went on from ${turnInWords(turn.previous)}. `;
  return (
    <li class="turn">
      <div class="turn-head">
        <strong>Turn {turn.turn}</strong>
        <span class="turn-prompt">{plainLine(turn.prompt)}</span>
        <span class="dim" title={step}>
          {turn.previous !== undefined && turn.previous !== turn.turn - 1 && `after turn ${turn.previous} · `}
          {turn.files !== undefined && `${counted(turn.files, "file")} changed · `}
          <time dateTime={new Date(turn.at).toISOString()}>{timeAgo(turn.at, now.value)}</time>
        </span>
      </div>
      {turn.kept ? (
        <div class="turn-actions">
          <button
            type="button"
            class="small"
            aria-expanded={open.value === "diff"}
            onClick={() => toggle("diff")}
          >
            Diff
          </button>
          <Downloads task={task} turn={turn.turn} />
          <button
            type="button"
            class="small"
            aria-expanded={open.value === "fork"}
            onClick={() => toggle("fork")}
          >
            Fork
          </button>
          <ConfirmButton
            label="Roll back"
            question={`Put files and conversation back to turn ${turn.turn}?`}
            yes="Roll back"
            disabled={working || rollBack.busy.value}
            onConfirm={() => void rollBack.run()}
          />
          {working && <span class="dim">The task works: it can be rolled back when it is idle.</span>}
        </div>
      ) : (
        <p class="dim">Its files are not kept any more.</p>
      )}
      <FailureNote failure={rollBack.failure.value} />
      {open.value === "diff" && <TurnDiff task={task} turn={turn} others={others} />}
      {open.value === "fork" && <ForkForm task={task} turn={turn.turn} />}
    </li>
  );
}

function Downloads({ task, turn }: { task: TaskJson; turn: number }) {
  const several = task.repositories.length > 1;
  return (
    <>
      {task.repositories.map(({ name }) => {
        const at = `/api/tasks/${task.id}/snapshots/${turn}`;
        const which = `repository=${encodeURIComponent(name)}`;
        const of = several ? ` of ${plainLine(name)}` : "";
        return (
          <span class="turn-files" key={name}>
            <span class="dim">Download{several && ` ${plainLine(name)}`}</span>
            <a
              href={`${at}/archive?format=zip&${which}`}
              download
              aria-label={`Download turn ${turn}${of} as zip`}
            >
              zip
            </a>
            <a href={`${at}/archive?${which}`} download aria-label={`Download turn ${turn}${of} as tar.gz`}>
              tar.gz
            </a>
            <a href={`${at}/patch?${which}`} download aria-label={`Download turn ${turn}${of} as patch`}>
              patch
            </a>
          </span>
        );
      })}
    </>
  );
}

/** `others`: the turns that it can be compared with. */
function TurnDiff({ task, turn, others }: { task: TaskJson; turn: Turn; others: number[] }) {
  const { client } = useAppliance();
  // One that is not kept any more is told so.
  const compared = [...new Set(turn.previous === undefined ? others : [turn.previous, ...others])];
  compared.sort((one, other) => one - other);
  const since = useSignal<number | undefined>(turn.previous);
  const { state, reload } = useLoaded(() => {
    const param = { id: task.id, turn: String(turn.turn) };
    const query = since.value === undefined ? {} : { from: String(since.value) };
    return client.read(client.api.tasks[":id"].snapshots[":turn"].diff.$get({ param, query }));
  }, [task.id, turn.turn, since.value]);
  const loaded = state.value;
  return (
    <div class="turn-diff">
      {compared.length > 0 && (
        <label class="dim">
          Compared with{" "}
          <select
            value={since.value ?? "base"}
            onChange={({ currentTarget: { value } }) => {
              since.value = value === "base" ? undefined : Number(value);
            }}
          >
            <option value="base">the base branch</option>
            {compared.map((each) => (
              <option key={each} value={each}>
                {turnInWords(each)}
              </option>
            ))}
          </select>
        </label>
      )}
      {loaded.kind === "loading" && (
        <p class="empty" role="status">
          Loading the diff…
        </p>
      )}
      {loaded.kind === "failed" && <FailureNote failure={loaded.failure} retry={reload} />}
      {loaded.kind === "loaded" &&
        loaded.value.map(({ repository, kept, diff, truncated }) => (
          <RepositoryDiff
            key={repository}
            repository={repository}
            diff={diff}
            empty={kept ? "nothing differs." : "there is no snapshot of it."}
            cut={truncated ? "The patch has all of it." : undefined}
          />
        ))}
    </div>
  );
}

function ForkForm({ task, turn }: { task: TaskJson; turn: number }) {
  const { client } = useAppliance();
  const router = useRouter();
  const prompt = useDraft(`fork:${task.id}:${turn}`);
  const fork = useAction(async () => {
    const json = { turn, prompt: prompt.value };
    const made = await client.read(client.api.tasks[":id"].fork.$post({ param: { id: task.id }, json }));
    prompt.value = "";
    router.go(`/tasks/${made.id}`);
  });
  return (
    <form class="turn-fork" onSubmit={submitting(fork)}>
      <textarea
        rows={3}
        aria-label={`Prompt for a new task that begins after turn ${turn}`}
        placeholder={`A new task with files and conversation as after turn ${turn}: what is it to do?`}
        value={prompt.value}
        onInput={(event) => {
          prompt.value = event.currentTarget.value;
        }}
        onKeyDown={(event) => {
          if (submits(event)) void fork.run();
        }}
      />
      <button type="submit" class="primary" disabled={fork.busy.value || prompt.value.trim() === ""}>
        Fork
      </button>
      <FailureNote failure={fork.failure.value} />
    </form>
  );
}
