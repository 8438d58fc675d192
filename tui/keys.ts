import { fit, styled } from "./cells.ts";
import { diffKeys } from "./diff-page.ts";
import { canCancel, canPutAway, currentTask, isHeldUp, type Model, turnRuns } from "./model.ts";
import { queueKeys } from "./queue-page.ts";
import { requestKeys } from "./request-views.ts";
import { searchKeys } from "./search-page.ts";
import type { KeyWords } from "./stage.ts";
import { turnKeys } from "./turns-page.ts";

/** What can be done here, for the footer. */
export function keysOf(model: Model): KeyWords {
  switch (model.page.kind) {
    case "list":
      return listKeys(model);
    case "task":
      return taskKeys(model);
    case "requests":
      return requestKeys(model.page);
    case "queue":
      return queueKeys(model.page);
    case "turns":
      return turnKeys(model.page);
    case "diff":
      return diffKeys(model.page);
    case "search":
      return searchKeys(model.page);
  }
}

function listKeys(model: Model): KeyWords {
  const task = currentTask(model);
  return [
    ...when(task !== undefined, ["↑↓", "select"], ["enter", "open"]),
    ...when(task?.state === "waiting", ["a", "answer"]),
    ["n", "new"],
    ["s", "search"],
    ["/", "filter"],
    ...when(task !== undefined && canCancel(task), ["c", "stop"]),
    ...when(task !== undefined && canPutAway(task), ["x", "archive"], ["D", "delete"]),
    ["r", "access"],
    ["?", "help"],
    ["q", "quit"],
  ];
}

function taskKeys(model: Model): KeyWords {
  const task = currentTask(model);
  if (task === undefined) return [];
  return [
    ["↑↓", "scroll"],
    ["G", "end"],
    ...when(task.state === "waiting", ["a", "answer"]),
    ["p", "prompt"],
    ...when(turnRuns(task), ["P", "at once"], ["i", "interrupt"]),
    ...when(isHeldUp(task), ["u", "go on"]),
    ["w", "queue"],
    ["t", "turns"],
    ["m", "model"],
    ["M", task.mode === "plan" ? "act" : "plan first"],
    ...when(canCancel(task), ["c", "stop"]),
    ...when(
      canPutAway(task),
      ["x", task.archivedAt === undefined ? "archive" : "take back"],
      ["D", "delete"],
    ),
    ["s", "search"],
    ["?", "help"],
    ["q", "back"],
  ];
}

const when = (is: boolean, ...keys: KeyWords): KeyWords => (is ? keys : []);

/** Every key; it fits into 24 rows. */
export function helpLines(): string[] {
  const rows = [
    ["↑ ↓ k j", "select, or scroll; PgUp, PgDn and space go a page, g and G to an end"],
    ["enter", "open what is selected; a task's transcript goes on live"],
    ["q escape", "back; in the list q leaves, and nothing stops because of it"],
    ["s", "search titles, prompts and transcripts; enter opens a task there"],
    ["/", "show only tasks that contain some words; escape shows all again"],
    ["n", "submit a new task"],
    ["p P", "send one more prompt; with P it does not wait for the turn that runs"],
    ["a", "answer what the agent asks, or approve its plan"],
    ["i", "interrupt the agent: its turn ends, its prompts are held"],
    ["u", "let a task go on that is paused or held"],
    ["m M", "another model; to plan first, or to act"],
    ["w", "prompts that wait: K and J move one, e edits, s sends now, d removes"],
    ["t", "turns and their cost: enter shows the diff, b rolls back, f forks"],
    ["c", "stop the task"],
    ["x D", "put a task that rests into the archive, or take it back; delete it"],
    ["r", "requests for access, of all tasks: o allow once, t for the task,"],
    ["", "e for its environment, d deny"],
    ["C-l", "draw the screen anew"],
  ];
  return ["", ...rows.map(([keys, what]) => ` ${styled(fit(keys ?? "", 9), "key")} ${what}`)];
}
