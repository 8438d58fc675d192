import type { Evidence, StoredEvent } from "./evidence.ts";
import type { Fault } from "./faults.ts";
import type { Ledger, SaidPrompt } from "./people.ts";

/** A promise of the appliance that was not kept, with the events of its task around where that shows. */
export interface Broken {
  promise: string;
  what: string;
  taskId: string | undefined;
}

export interface Case {
  ledger: Ledger;
  faults: readonly Fault[];
  evidence: Evidence;
  timesSeen(mark: string): number;
}

/** Holds what people said and what agents did against what the store holds. Pure. */
export function judge({ ledger, faults, evidence, timesSeen }: Case): Broken[] {
  const broken: Broken[] = [];
  const tell = (promise: string, taskId: string | undefined, what: string) =>
    void broken.push({ promise, taskId, what });
  const byTask = Map.groupBy(evidence.events, ({ taskId }) => taskId);
  const eventsOf = (taskId: string, ...kinds: string[]) =>
    (byTask.get(taskId) ?? []).filter(({ kind }) => kinds.includes(kind));
  /** Work may have been done over where its container went, or a person took it back. */
  const wasRebuilt = (taskId: string) => eventsOf(taskId, "sandbox_removed", "rolled_back").length > 0;

  numbers(evidence, tell);

  for (const said of ledger.prompts) {
    const rows = evidence.prompts.filter(({ text }) => said.marks.some(({ mark }) => text.includes(mark)));
    if (rows.length > 1) tell("no prompt is kept twice", said.taskId, nameOf(said));
    if (rows.length === 0 && said.said === "answered")
      tell("no prompt is lost", said.taskId, `${nameOf(said)} is not in the store`);
    const [row] = rows;
    if (row === undefined) continue;
    const inForce = said.marks.filter((each) => each.said === "answered").at(-1)?.mark ?? "";
    const mayBe = said.marks.slice(said.marks.findIndex(({ mark }) => mark === inForce));
    if (!mayBe.some(({ mark }) => row.text.includes(mark)))
      tell("an edit is kept", row.taskId, `${nameOf(said)}: ${row.text}`);
    if (said.removed === "answered" && row.state !== "removed")
      tell("what was removed stays removed", row.taskId, `${nameOf(said)} is ${row.state}`);
    const seen = said.marks.map(({ mark }) => timesSeen(mark));
    for (const [index, times] of seen.entries()) {
      const mark = said.marks[index]?.mark ?? "";
      if (times > 1) tell("an agent has every prompt once", row.taskId, `${mark} was seen ${times} times`);
      if (times > 0 && !row.text.includes(mark))
        tell("an edit is kept", row.taskId, `the agent was given ${mark}, not ${row.text}`);
    }
    if (row.state === "removed" && seen.some((times) => times > 0))
      tell("what was removed is not done", row.taskId, nameOf(said));
    const cutOff = eventsOf(row.taskId, "interrupt_requested", "cancel_requested").length > 0;
    if (row.state === "taken" && seen.every((times) => times === 0) && !cutOff)
      tell("what was taken reached the agent", row.taskId, nameOf(said));
    if (row.state !== "taken" && row.state !== "removed")
      tell("every prompt is taken in the end", row.taskId, `${nameOf(said)} is ${row.state}`);

    const ended = eventsOf(row.taskId, "turn_ended").filter(({ body }) => body["promptId"] === row.id);
    const done = ended.filter(({ body }) => body["outcome"] === "done").length;
    if (done > 1 && !wasRebuilt(row.taskId))
      tell("a turn is done once", row.taskId, `${nameOf(said)} (${row.id}) was done ${done} times`);
    const joined = eventsOf(row.taskId, "prompt_taken").filter(({ body }) => body["promptId"] === row.id);
    if (joined.length > 1 && !wasRebuilt(row.taskId))
      tell("a prompt is taken once", row.taskId, `${nameOf(said)} was taken ${joined.length} times`);
    if (
      row.state === "taken" &&
      ended.length === 0 &&
      joined.length === 0 &&
      !wasRebuilt(row.taskId) &&
      !cutOff
    )
      tell("a turn that began has an end", row.taskId, nameOf(said));
  }

  for (const { taskId, toolUses, toolResults } of evidence.conversations) {
    for (const [kind, ids] of [
      ["tool_use", toolUses],
      ["tool_result", toolResults],
    ] as const) {
      const told = Map.groupBy(eventsOf(taskId, kind), ({ body }) => body["toolUseId"]);
      for (const id of new Set(ids)) {
        const times = told.get(id)?.length ?? 0;
        if (times === 0) tell("what the agent did is told", taskId, `${kind} ${id} is not in the transcript`);
      }
      for (const [id, events] of told)
        if (events.length > 1)
          tell(
            "what the agent did is told once",
            taskId,
            `${kind} ${id} stands there ${events.length} times`,
          );
    }
  }

  for (const { taskId, state } of ledger.stuck) tell("no task is stuck", taskId, `it is ${state}`);
  for (const { id, state } of evidence.tasks)
    if (state !== "completed" && !ledger.stuck.some(({ taskId }) => taskId === id))
      tell("every task ends", id, `it is ${state}`);
  for (const stop of ledger.stops) {
    const why = whyNot(stop, faults, eventsOf(stop.taskId, "interrupt_requested"));
    if (why !== undefined) tell("a task stops for a reason", stop.taskId, why);
  }
  for (const what of evidence.leftOvers) tell("nothing is left behind", undefined, what);
  for (const what of evidence.defects) tell("no request meets a defect", undefined, what);
  for (const { kind, taskId, failed } of faults)
    if (failed !== undefined && isOfSuite(kind))
      tell("what was ended comes back", taskId, `${kind}: ${failed}`);
  return broken;
}

/** A container may go before it is hit; server and engine are ours to start again. */
const isOfSuite = (kind: Fault["kind"]): boolean =>
  kind === "kill server" || kind === "restart engine" || kind === "reboot" || kind === "fill disk";

type Tell = (promise: string, taskId: string | undefined, what: string) => void;

/** Each sandbox's events and commands are numbered from 1 without a gap, and all were acknowledged. */
function numbers({ events, commands, sandboxes }: Evidence, tell: Tell): void {
  const numbered = Map.groupBy(
    events.filter(({ sandboxId }) => sandboxId !== null),
    ({ sandboxId }) => sandboxId,
  );
  for (const { id, taskId, acked } of sandboxes) {
    const list = (numbered.get(id) ?? []).map(({ n }) => n ?? 0);
    const gap = list.findIndex((n, index) => n !== index + 1);
    if (gap !== -1)
      tell("events are numbered without a gap", taskId, `${id}: ${list[gap]} at place ${gap + 1}`);
    if (list.length !== acked) tell("events are acknowledged", taskId, `${id}: ${acked} of ${list.length}`);
    const given = commands.filter(({ sandboxId }) => sandboxId === id);
    if (given.some(({ n }, index) => n !== index + 1))
      tell("commands are numbered without a gap", taskId, id);
  }
}

/** Undefined where the schedule explains why the task had stopped. */
function whyNot(
  { taskId, state, reason, at }: Ledger["stops"][number],
  faults: readonly Fault[],
  interruptions: readonly StoredEvent[],
): string | undefined {
  const words = `${state}: ${reason}`;
  if (reason.startsWith("Interrupted by")) return interruptions.length > 0 ? undefined : words;
  const hits = faults.filter(
    (fault) => fault.at <= at && (fault.taskId === taskId || fault.taskId === undefined),
  );
  // Deaths are counted in a row; three of whatever kind explain it.
  if (
    /died \d+ times|ended \d+ times/.test(reason) &&
    hits.filter(({ taskId, kind }) => taskId !== undefined || kind === "reboot").length >= 3
  )
    return undefined;
  if (/disk|space|SQLITE_FULL/i.test(reason) && hits.some(({ kind }) => kind === "fill disk"))
    return undefined;
  return words;
}

const nameOf = ({ marks, id }: SaidPrompt): string =>
  `the prompt ${marks.map(({ mark }) => mark).join(" → ")}${id === undefined ? "" : ` (${id})`}`;

/** The last events of a task that say how it stands, a line each. */
export function storyOf({ events }: Pick<Evidence, "events">, taskId: string, most = 50): string {
  return events
    .filter((event) => event.taskId === taskId && event.kind !== "assistant_delta")
    .slice(-most)
    .map(({ seq, n, at, kind, body }) => {
      const { kind: _, ...rest } = body;
      const time = new Date(at).toISOString().slice(11, 23);
      return `  ${seq} ${time} ${n ?? "-"} ${kind} ${JSON.stringify(rest).slice(0, 160)}`;
    })
    .join("\n");
}
