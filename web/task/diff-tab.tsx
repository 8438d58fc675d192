import { useMemo } from "preact/hooks";
import { useAppliance } from "../appliance.ts";
import { CodeLines } from "../parts/code-lines.tsx";
import { FailureNote } from "../parts/failure.tsx";
import { useLoaded } from "../parts/hooks.ts";
import { type DiffFile, parseDiff } from "../text/diff.ts";
import { plainLine } from "../text/plain.ts";
import { counted } from "../words.ts";
import type { TaskFeed } from "./task-feed.ts";

/** A file with more changed lines than this is folded at first. */
const largeFile = 400;
/** So many files are open at first; a thousand open tables would make the page slow. */
const openFiles = 30;

/** What the task's branches add, read anew after every push. */
export function DiffTab({ id, feed }: { id: string; feed: TaskFeed }) {
  const { client } = useAppliance();
  const { state, reload } = useLoaded(
    () => client.read(client.api.tasks[":id"].diff.$get({ param: { id } })),
    [id, feed.transcript.value.pushes],
  );
  const loaded = state.value;
  if (loaded.kind === "loading") {
    return (
      <p class="empty" role="status">
        Loading the diff…
      </p>
    );
  }
  if (loaded.kind === "failed") return <FailureNote failure={loaded.failure} retry={reload} />;
  if (loaded.value.length === 0) return <p class="empty">The task has no repository, so there is no diff.</p>;
  return (
    <>
      {loaded.value.map((diff) => (
        <RepositoryDiff key={diff.repository} {...diff} />
      ))}
    </>
  );
}

/** One repository's part of what a task's branches add. */
export function RepositoryDiff(props: {
  /** Keeps apart what several diffs on one page have in common. */
  within?: string;
  repository: string;
  baseBranch: string;
  workBranch: string;
  pushed: boolean;
  diff: string;
  truncated: boolean;
}) {
  const files = useMemo(() => parseDiff(props.diff), [props.diff]);
  const name = plainLine(props.repository);
  if (!props.pushed) return <p class="empty">{name}: nothing pushed yet.</p>;
  if (files.length === 0) return <p class="empty">{name}: the branch adds nothing to its base.</p>;
  const added = files.reduce((sum, file) => sum + file.added, 0);
  const removed = files.reduce((sum, file) => sum + file.removed, 0);
  const anchor = (index: number) =>
    `diff-${props.within ?? ""}${props.repository.replace(/[^a-z0-9]/g, "-")}-${index}`;
  return (
    <section class="diff" aria-label={`Diff of ${name}`}>
      <h2>
        {name}{" "}
        <span class="dim">
          {counted(files.length, "file")}, <Counts added={added} removed={removed} />
        </span>
      </h2>
      {props.truncated && (
        <p class="note">
          The diff is cut: it is too long for a page. Fetch the branch{" "}
          <code>{plainLine(props.workBranch)}</code> to see all of it.
        </p>
      )}
      <ul class="file-list">
        {files.map((file, index) => (
          <li key={index}>
            <button
              type="button"
              class="link mono"
              onClick={() => {
                const target = document.getElementById(anchor(index));
                if (target instanceof HTMLDetailsElement) target.open = true;
                target?.scrollIntoView({ block: "start" });
              }}
            >
              {plainLine(file.path)}
            </button>
            <Counts added={file.added} removed={file.removed} />
          </li>
        ))}
      </ul>
      {files.map((file, index) => (
        <FileDiff
          key={index}
          id={anchor(index)}
          file={file}
          open={index < openFiles && file.lines.length <= largeFile}
        />
      ))}
    </section>
  );
}

export function Counts({ added, removed }: { added: number; removed: number }) {
  return (
    <span class="counts">
      <span class="plus">+{added}</span> <span class="minus">−{removed}</span>
    </span>
  );
}

const changeWords: Record<DiffFile["change"], string> = {
  added: "new",
  deleted: "deleted",
  renamed: "renamed",
  modified: "",
};

function FileDiff({ id, file, open }: { id: string; file: DiffFile; open: boolean }) {
  return (
    <details class="file" id={id} open={open}>
      <summary>
        <span class="mono file-name">
          {file.from !== undefined && `${plainLine(file.from)} → `}
          {plainLine(file.path)}
        </span>
        {changeWords[file.change] !== "" && <span class="chip quiet">{changeWords[file.change]}</span>}
        <Counts added={file.added} removed={file.removed} />
      </summary>
      {file.binary ? (
        <p class="empty">A binary file.</p>
      ) : (
        <CodeLines lines={file.lines} limit={2000} numbered={true} />
      )}
    </details>
  );
}
