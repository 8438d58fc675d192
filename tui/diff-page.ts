import type { TaskJson } from "../src/client.ts";
import { diffLines } from "../src/domain/diff-lines.ts";
import { turnInWords } from "../src/domain/snapshots.ts";
import type { TextLine } from "../src/domain/text-line.ts";
import { cellText, fit, styled, wrap } from "./cells.ts";
import { line } from "./rows.ts";
import type { Bindings, KeyWords, Stage } from "./stage.ts";
import type { TurnsPage } from "./turns-page.ts";

/** What a turn changed. */
export interface DiffPage {
  kind: "diff";
  task: TaskJson;
  turn: number;
  /** The turn that it went on with. */
  previous: number | undefined;
  /** Against which turn; against the base branch where it is undefined. */
  from: number | undefined;
  /** Undefined until it has come. */
  lines: TextLine[] | undefined;
  /** The same as cells, for this width. */
  wrapped: { columns: number; texts: string[] } | undefined;
  top: number;
  /** Rows that show. */
  shown: number;
}

export function diffPageLines(page: DiffPage, columns: number, rows: number): string[] {
  const { task, turn, from, lines } = page;
  const since = from === undefined ? "the base branch" : turnInWords(from);
  if (page.wrapped?.columns !== columns) {
    const texts = (lines ?? []).flatMap(({ tone, text }) =>
      wrap(cellText(text), columns - 2).map((part) => ` ${styled(part, tone)}`),
    );
    page.wrapped = { columns, texts };
  }
  const { texts } = page.wrapped;
  page.shown = rows - 2;
  page.top = Math.max(0, Math.min(page.top, texts.length - page.shown));
  const below = Math.max(0, texts.length - page.shown - page.top);
  const rule =
    below === 0
      ? "─".repeat(columns)
      : fit(`${"─".repeat(Math.max(0, columns - 26))} ${below} more lines below `, columns);
  return [
    styled(fit(` Turn ${turn} compared with ${since}: ${line(task.title)}`, columns), "strong"),
    styled(rule, "dim"),
    ...texts.slice(page.top, page.top + page.shown),
  ];
}

export function diffKeys({ previous, from }: DiffPage): KeyWords {
  const other: KeyWords =
    previous === undefined
      ? []
      : [
          [
            "b",
            from === undefined ? `compare with ${turnInWords(previous)}` : "compare with the base branch",
          ],
        ];
  return [["↑↓", "scroll"], ["g G", "start, end"], ...other, ["q", "back"]];
}

export function createDiffPage({ client, go, follow, changed }: Stage) {
  const { api, read } = client;

  async function load(page: DiffPage): Promise<void> {
    page.lines = undefined;
    page.wrapped = undefined;
    const param = { id: page.task.id, turn: String(page.turn) };
    const query = page.from === undefined ? {} : { from: String(page.from) };
    const wanted = page.from;
    const diffs = await read(api.tasks[":id"].snapshots[":turn"].diff.$get({ param, query }));
    if (page.from !== wanted) return;
    page.wrapped = undefined;
    page.lines = diffs.flatMap(({ repository, kept, diff, truncated }): TextLine[] => [
      ...(diffs.length > 1 ? [{ tone: "strong" as const, text: `── ${repository} ──` }] : []),
      ...(diff === ""
        ? [{ tone: "dim" as const, text: kept ? "Nothing differs." : "There is no snapshot of it." }]
        : []),
      ...diffLines(diff),
      ...(truncated
        ? [{ tone: "warning" as const, text: "The diff is cut: `task patch` has all of it." }]
        : []),
    ]);
    changed();
  }

  const bindings: Bindings<DiffPage> = {
    b(page) {
      if (page.previous === undefined) return;
      page.from = page.from === undefined ? page.previous : undefined;
      page.top = 0;
      follow(load(page));
    },
  };

  return {
    bindings,
    move(page: DiffPage, by: number): void {
      const last = Math.max(0, (page.wrapped?.texts.length ?? 0) - page.shown);
      page.top = Math.max(0, Math.min(last, page.top + by));
    },
    /** Of the turn that is selected. */
    open({ task, turns, at }: TurnsPage): void {
      const turn = turns?.[at];
      if (turn?.number === undefined || !turn.kept) return;
      const { number, previous } = turn;
      const page: DiffPage = {
        ...{ kind: "diff", task, turn: number, previous, from: previous },
        ...{ lines: undefined, wrapped: undefined, top: 0, shown: 0 },
      };
      go(page);
      follow(load(page));
    },
  };
}
