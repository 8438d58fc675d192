import type { ComponentChildren } from "preact";
import { useMemo } from "preact/hooks";
import { CodeLines } from "../parts/code-lines.tsx";
import { type DiffFile, parseDiff } from "../text/diff.ts";
import { plainLine } from "../text/plain.ts";
import { counted } from "../words.ts";

/** A file with more changed lines than this is folded at first. */
const largeFile = 400;
/** So many files are open at first; a thousand open tables would make the page slow. */
const openFiles = 30;

/** One repository's unified diff, file by file. */
export function RepositoryDiff(props: {
  /** Keeps apart what several diffs on one page have in common. */
  within?: string | undefined;
  repository: string;
  diff: string;
  /** Said where nothing differs. */
  empty: string;
  /** Where the whole of it is, should it have been cut. */
  cut: ComponentChildren | undefined;
}) {
  const files = useMemo(() => parseDiff(props.diff), [props.diff]);
  const name = plainLine(props.repository);
  if (files.length === 0) {
    return (
      <p class="empty">
        {name}: {props.empty}
      </p>
    );
  }
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
      {props.cut !== undefined && <p class="note">The diff is cut: it is too long for a page. {props.cut}</p>}
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
