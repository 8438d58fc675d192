import type { AccessRequestJson, TaskJson } from "../src/client.ts";
import { isAtRest, isEnded } from "../src/domain/task.ts";
import type { DiffPage } from "./diff-page.ts";
import type { QueuePage } from "./queue-page.ts";
import type { SearchPage } from "./search-page.ts";
import type { Transcript } from "./transcript.ts";
import type { TurnsPage } from "./turns-page.ts";

/** Everything that stands on the screen; the views draw it and change nothing. */
export interface Model {
  url: string;
  tasks: TaskJson[];
  /** The newest that wait for a person's decision, of all tasks. */
  requests: AccessRequestJson[];
  status: Status | undefined;
  connection: "connecting" | "up" | "lost";
  page: Page;
  /** Of the list. Kept by id, so that it stays on its task while the list moves. */
  selectedId: string | undefined;
  /** First row of the list that shows. */
  top: number;
  filter: string;
  help: boolean;
  /** What is asked in the footer, and what has been typed so far. */
  asking: { label: string; text: string } | undefined;
  /** A word to the person, until the next key. */
  message: { tone: "plain" | "bad"; text: string } | undefined;
}

export type Page =
  | { kind: "list" }
  | { kind: "task"; task: TaskJson; transcript: Transcript }
  | RequestsPage
  | QueuePage
  | TurnsPage
  | DiffPage
  | SearchPage;

/** Requests for access: those that wait first, then what was decided. */
export interface RequestsPage {
  kind: "requests";
  /** Undefined until they have come. */
  requests: AccessRequestJson[] | undefined;
  selectedId: number | undefined;
  top: number;
}

interface Status {
  version: string;
  engine: { ok: boolean; text: string };
  model: { kind: "demo" | "endpoint" | "none"; baseUrl: string };
  parallel: number;
  active: number;
  queued: number;
  person: string;
  /** What all tasks have cost since midnight of the appliance's time zone; undefined until it is known. */
  todayUsd?: number | undefined;
}

export function shownTasks({ tasks, filter }: Pick<Model, "tasks" | "filter">): TaskJson[] {
  const wanted = filter.toLowerCase();
  return wanted === ""
    ? tasks
    : tasks.filter((task) =>
        [
          task.title,
          task.state,
          task.person,
          task.id,
          task.environment,
          ...task.repositories.map(({ name }) => name),
        ]
          .join("\n")
          .toLowerCase()
          .includes(wanted),
      );
}

/** The task that keys act on: the one whose page is open, else the one that is selected in the list. */
export function currentTask(model: Model): TaskJson | undefined {
  if ("task" in model.page) return model.page.task;
  const shown = shownTasks(model);
  return shown.find(({ id }) => id === model.selectedId) ?? shown[0];
}

/** The request that keys act on. */
export function currentRequest({ requests = [], selectedId }: RequestsPage): AccessRequestJson | undefined {
  return requests.find(({ id }) => id === selectedId) ?? requests[0];
}

export function selectRequest(page: RequestsPage, by: number): void {
  const { requests = [] } = page;
  const at = requests.findIndex(({ id }) => id === currentRequest(page)?.id);
  page.selectedId = requests[Math.min(requests.length - 1, Math.max(0, at + by))]?.id;
}

export function select(model: Model, by: number): void {
  const shown = shownTasks(model);
  const at = shown.findIndex(({ id }) => id === currentTask(model)?.id);
  model.selectedId = shown[Math.min(shown.length - 1, Math.max(0, at + by))]?.id;
}

export function takeTasks(model: Model, tasks: TaskJson[]): void {
  model.tasks = tasks;
  const { page } = model;
  if ("task" in page) page.task = tasks.find(({ id }) => id === page.task.id) ?? page.task;
}

export function canCancel({ state }: TaskJson): boolean {
  return !isEnded(state);
}

/** A turn runs, or waits for an answer within. */
export function turnRuns({ state }: TaskJson): boolean {
  return state === "running" || state === "waiting";
}

/** It goes on at a person's word alone, or not before its time. */
export function isHeldUp({ state, held }: TaskJson): boolean {
  return state === "paused" || held;
}

/** Nothing happens in it: it can be put away, or deleted. */
export function canPutAway({ state }: TaskJson): boolean {
  return isAtRest(state);
}
