import type { TaskJson } from "../src/client.ts";
import { ageText, countText, usdText } from "../src/domain/amounts.ts";
import { isAtRest } from "../src/domain/task.ts";
import { fit, styled } from "./cells.ts";
import { line, moveIn, type Rows, windowOf } from "./rows.ts";
import type { Bindings, KeyWords, Stage } from "./stage.ts";

/** The turns of a task, the newest first: what each was for, what it changed and what it used. */
export interface TurnsPage extends Rows {
  kind: "turns";
  task: TaskJson;
  /** Undefined until they have come. */
  turns: Turn[] | undefined;
  total: Used | undefined;
  /** What the task was like when they were read: git compares files for them, which is not done for nothing. */
  version: string;
}

const versionOf = ({ state, inputTokens, outputTokens, unpricedRequests }: TaskJson): string =>
  [state, inputTokens, outputTokens, unpricedRequests].join(" ");

interface Turn {
  /** Undefined for what has no snapshot: the turn that runs, and what was used outside of turns. */
  number: number | undefined;
  at: number | undefined;
  prompt: string;
  previous: number | undefined;
  files: number | undefined;
  /** Whether its files are there. */
  kept: boolean;
  used: Used | undefined;
}

interface Used {
  requests: number;
  inputTokens: number;
  outputTokens: number;
  cacheReadTokens: number;
  cacheWrite5mTokens: number;
  cacheWrite1hTokens: number;
  costUsd: number;
  unpricedRequests: number;
}

const inputOf = (used: Used) =>
  used.inputTokens + used.cacheReadTokens + used.cacheWrite5mTokens + used.cacheWrite1hTokens;

export function turnLines(page: TurnsPage, columns: number, rows: number, now: number): string[] {
  const { task, turns, total } = page;
  const head = [
    styled(fit(` Turns: ${line(task.title)}`, columns), "strong"),
    styled("─".repeat(columns), "dim"),
  ];
  if (turns === undefined) return head;
  if (turns.length === 0)
    return [...head, "", "  No turn has ended yet. After each, its files are kept here."];
  const row = (turn: string, age: string, files: string, input: string, output: string, cost: string) =>
    ` ${turn.padStart(4)}  ${age.padStart(4)}  ${files.padStart(5)}  ${input.padStart(6)}  ${output.padStart(6)}  ${cost.padStart(9)}  `;
  const texts = turns.map(({ number, at, prompt, files, kept, used }) => {
    const cells = row(
      number === undefined ? "–" : String(number),
      at === undefined ? "" : ageText(now - at),
      number === undefined ? "" : kept ? (files === undefined ? "?" : String(files)) : "gone",
      used === undefined ? "" : countText(inputOf(used)),
      used === undefined ? "" : countText(used.outputTokens),
      used === undefined ? "" : costOf(used),
    );
    return cells + line(prompt);
  });
  const detail = rows < 10 ? [] : detailLines(turns[page.at], total, columns);
  const columnsHead = styled(`${row("TURN", "AGE", "FILES", "IN", "OUT", "COST")}PROMPT`, "dim");
  const room = rows - head.length - 1 - detail.length;
  return [...head, columnsHead, ...windowOf(page, texts, columns, room), ...detail];
}

function detailLines(turn: Turn | undefined, total: Used | undefined, columns: number): string[] {
  const before = turn?.previous;
  const step =
    before === undefined || before === (turn?.number ?? 0) - 1 ? "" : `It went on from turn ${before}.`;
  const used = turn?.used === undefined ? "It asked no model." : `This one: ${usedText(turn.used)}`;
  return [
    styled("─".repeat(columns), "dim"),
    ...(step === "" ? [] : [` ${step}`]),
    ` ${used}`,
    ...(total === undefined ? [] : [` In all:   ${usedText(total)}`]),
  ].map((text) => fit(text, columns));
}

function usedText(used: Used): string {
  const cached = used.cacheReadTokens === 0 ? "" : ` (${countText(used.cacheReadTokens)} from the cache)`;
  const requests = `${used.requests} request${used.requests === 1 ? "" : "s"}`;
  return `${requests}, ${countText(inputOf(used))} tokens in${cached}, ${countText(used.outputTokens)} out, ${costOf(used)}`;
}

/** What has no price in the table is not counted as nothing. */
function costOf({ costUsd, unpricedRequests, requests }: Used): string {
  if (requests > 0 && unpricedRequests === requests) return "no price";
  return `${usdText(costUsd * 1e9)}${unpricedRequests > 0 ? "+" : ""}`;
}

export function turnKeys(page: TurnsPage): KeyWords {
  const turn = page.turns?.[page.at];
  const own: KeyWords =
    turn?.kept === true
      ? [["enter", "diff"], ...(canRollBack(page.task) ? [["b", "roll back"] as const] : []), ["f", "fork"]]
      : [];
  return [...(page.turns?.length ? [["↑↓", "select"] as const] : []), ...own, ["q", "back"]];
}

const canRollBack = ({ state }: TaskJson): boolean => state === "idle" || isAtRest(state);

export function createTurnsPage({ client, go, ask, confirm, say, follow, changed, openTask }: Stage) {
  const { api, read } = client;

  async function load(page: TurnsPage): Promise<void> {
    const param = { id: page.task.id };
    page.version = versionOf(page.task);
    const [shots, usage, { prompts }] = await Promise.all([
      read(api.tasks[":id"].snapshots.$get({ param })),
      read(api.tasks[":id"].usage.$get({ param })),
      read(api.tasks[":id"].$get({ param })),
    ]);
    const usedBy = new Map(usage.turns.map((row) => [row.promptId, row]));
    const ended = shots.map(({ turn, at, prompt, previous, files, kept, promptId }): Turn => {
      const used = usedBy.get(promptId);
      usedBy.delete(promptId);
      return { number: turn, at, prompt, previous, files, kept, used };
    });
    const without = (used: Used, prompt: string): Turn => ({
      ...{ number: undefined, at: undefined, previous: undefined, files: undefined },
      ...{ kept: false, prompt, used },
    });
    const outside = usedBy.get(undefined);
    usedBy.delete(undefined);
    const rest = [...usedBy].map(([id, used]) =>
      without(used, prompts.find((prompt) => prompt.id === id)?.text ?? ""),
    );
    const first = outside === undefined ? [] : [without(outside, "(outside of turns)")];
    page.turns = [...first, ...ended, ...rest].reverse();
    page.total = usage.total;
    changed();
  }

  const onTurn = (act: (page: TurnsPage, turn: number) => Promise<void>) => (page: TurnsPage) => {
    const turn = page.turns?.[page.at];
    if (turn?.kept === true && turn.number !== undefined) follow(act(page, turn.number));
  };

  const bindings: Bindings<TurnsPage> = {
    b: onTurn(async (page, turn) => {
      if (!canRollBack(page.task)) return say("The task works: it can be rolled back when it is idle.");
      if (!(await confirm(`Put files and conversation back to turn ${turn}?`)))
        return say("Nothing was changed.");
      await read(api.tasks[":id"].rollback.$post({ param: { id: page.task.id }, json: { turn } }));
      say(`The task is as it was after turn ${turn}; its next prompt goes on from there.`);
      await load(page);
    }),
    f: onTurn(async (page, turn) => {
      const prompt = await ask(`A new task that begins as after turn ${turn}: what is it to do?`);
      if (prompt === undefined || prompt.trim() === "") return say("Nothing was forked.");
      if (!(await confirm(`Fork “${line(page.task.title).slice(0, 40)}” at turn ${turn}?`)))
        return say("Nothing was forked.");
      const made = await read(
        api.tasks[":id"].fork.$post({ param: { id: page.task.id }, json: { turn, prompt } }),
      );
      openTask(made);
      say(`Submitted as ${made.id}.`);
    }),
  };

  return {
    bindings,
    async refresh(page: TurnsPage): Promise<void> {
      if (page.version !== versionOf(page.task)) await load(page);
    },
    move: (page: TurnsPage, by: number) => moveIn(page, page.turns?.length ?? 0, by),
    open(task: TaskJson): void {
      const page: TurnsPage = {
        kind: "turns",
        task,
        turns: undefined,
        total: undefined,
        version: "",
        at: 0,
        top: 0,
      };
      go(page);
      follow(load(page));
    },
  };
}
