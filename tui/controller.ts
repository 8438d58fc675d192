import type { Client, TaskJson } from "../src/client.ts";
import type { AccessDecision } from "../src/domain/access-request.ts";
import { messageOf } from "../src/domain/errors.ts";
import { createActions } from "./actions.ts";
import { createDiffPage } from "./diff-page.ts";
import { type Key, typeKey } from "./line-input.ts";
import {
  currentRequest,
  currentTask,
  type Model,
  type Page,
  type RequestsPage,
  select,
  selectRequest,
  shownTasks,
} from "./model.ts";
import { createQueuePage } from "./queue-page.ts";
import { createSearchPage } from "./search-page.ts";
import type { Stage } from "./stage.ts";
import { createTranscript } from "./transcript.ts";
import { createTurnsPage } from "./turns-page.ts";
import { watchAppliance } from "./watch.ts";

export interface ControllerOptions {
  client: Client;
  model: Model;
  /** The model is not what is on the screen any more. */
  changed(): void;
  redraw(): void;
  /** Rows of one page of the list or a transcript. */
  pageRows(): number;
  leave(): void;
}

export interface Controller {
  key(key: Key): void;
  close(): void;
}

/** Keeps the model as the server has it, and does what keys say. */
export function createController(options: ControllerOptions): Controller {
  const { client, model, changed } = options;
  const stop = new AbortController();
  let closeTask = new AbortController();
  let asked: { resolve(text: string | undefined): void } | undefined;
  /** The pages below the one that shows. At most one of all of them is a transcript. */
  let trail: Page[] = [];
  const stage: Stage = { client, go, openTask, ask, confirm, say, follow, changed };
  const actions = createActions({ ...stage, isOpen, back });
  const [queue, turns] = [createQueuePage(stage), createTurnsPage(stage)];
  const [diff, search] = [createDiffPage(stage), createSearchPage(stage)];
  const { readRequests } = watchAppliance({ client, model, signal: stop.signal, refresh, follow, changed });

  async function refresh(): Promise<void> {
    const { page } = model;
    if (!("task" in page)) return;
    // One that is archived, or old, is not in the list that is pushed.
    if (!model.tasks.some(({ id }) => id === page.task.id)) {
      page.task = (await client.read(client.api.tasks[":id"].$get({ param: { id: page.task.id } }))).task;
    }
    if (page.kind === "queue") await queue.load(page);
    if (page.kind === "turns") await turns.refresh(page);
  }

  function go(page: Page): void {
    trail.push(model.page);
    model.page = page;
    changed();
  }

  function openRequests(): void {
    if (model.page.kind === "requests") return;
    const task = currentTask(model);
    const first = model.requests.find(({ taskId }) => taskId === task?.id);
    const page: RequestsPage = { kind: "requests", requests: undefined, selectedId: first?.id, top: 0 };
    go(page);
    follow(readRequests(page));
  }

  function openTask(task: TaskJson, at?: number): void {
    closeTask.abort();
    closeTask = new AbortController();
    const { signal } = closeTask;
    const transcript = createTranscript();
    if (at !== undefined) transcript.showAt(at);
    go({ kind: "task", task, transcript });
    trail = trail.filter(({ kind }) => kind !== "task");
    follow(
      (async () => {
        for await (const events of client.followTask(task.id, 0, signal)) {
          transcript.add(events);
          changed();
        }
      })(),
    );
  }

  function isOpen({ id }: TaskJson): boolean {
    return model.page.kind === "task" && model.page.task.id === id;
  }

  function back(): void {
    if (model.page.kind === "task") closeTask.abort();
    model.page = trail.pop() ?? { kind: "list" };
    changed();
  }

  /** Asks in the footer; undefined where the person leaves it. */
  function ask(label: string, text = ""): Promise<string | undefined> {
    asked?.resolve(undefined);
    model.asking = { label, text };
    const { promise, resolve } = Promise.withResolvers<string | undefined>();
    asked = { resolve };
    changed();
    return promise;
  }

  async function confirm(question: string): Promise<boolean> {
    return /^y(es)?$/i.test((await ask(`${question} [y/N]`))?.trim() ?? "");
  }

  function say(text: string, tone: "plain" | "bad" = "plain"): void {
    model.message = { text, tone };
    changed();
  }

  function follow(work: Promise<void>): void {
    work.catch((thrown: unknown) => {
      if (!stop.signal.aborted) say(messageOf(thrown), "bad");
    });
  }

  function typing(key: Key, asking: { label: string; text: string }): void {
    const typed = typeKey(asking.text, key);
    if (typed.kind === "typing") {
      asking.text = typed.text;
      return;
    }
    const waiting = asked;
    asked = undefined;
    model.asking = undefined;
    waiting?.resolve(typed.kind === "done" ? asking.text : undefined);
  }

  function move(by: number): void {
    const { page } = model;
    if (page.kind === "list") select(model, by);
    else if (page.kind === "task") page.transcript.scroll(by);
    else if (page.kind === "requests") selectRequest(page, by);
    else if (page.kind === "queue") queue.move(page, by);
    else if (page.kind === "turns") turns.move(page, by);
    else if (page.kind === "diff") diff.move(page, by);
    else search.move(page, by);
  }

  /** What this key does on this page alone, and not everywhere. */
  function ownKey(key: string): (() => void) | undefined {
    const { page } = model;
    const bound = <Shown>(bindings: Readonly<Record<string, (page: Shown) => void>>, shown: Shown) => {
      const act = bindings[key];
      return act && (() => act(shown));
    };
    switch (page.kind) {
      case "list":
      case "task":
        return taskBindings[key];
      case "requests":
        return bound(requestBindings, page);
      case "queue":
        return bound(queue.bindings, page) ?? (["p", "u"].includes(key) ? taskBindings[key] : undefined);
      case "turns":
        return bound({ ...turns.bindings, enter: diff.open, right: diff.open }, page);
      case "diff":
        return bound(diff.bindings, page);
      case "search":
        return bound(search.bindings, page);
    }
  }

  const onTask = (act: (task: TaskJson) => Promise<void> | void) => () => {
    const task = currentTask(model);
    if (task !== undefined) follow((async () => act(task))());
  };
  const onRequest = (decision: AccessDecision) => (page: RequestsPage) => {
    const request = currentRequest(page);
    if (request === undefined) return;
    const open = request.state === "pending" || (request.state === "expired" && decision === "environment");
    if (open) follow(actions.decide(request, decision));
  };
  const openSelected = () => {
    const task = model.page.kind === "list" ? currentTask(model) : undefined;
    if (task !== undefined) openTask(task);
  };
  const goBack = () => {
    if (model.page.kind === "list") model.filter = "";
    else back();
  };
  const toStart = () => move(Number.NEGATIVE_INFINITY);
  const toEnd = () => move(Number.POSITIVE_INFINITY);
  const pageUp = () => move(-options.pageRows());
  const pageDown = () => move(options.pageRows());
  const openTaskOf = (page: RequestsPage) => {
    const task = model.tasks.find(({ id }) => id === currentRequest(page)?.taskId);
    if (task !== undefined) openTask(task);
  };

  /** By blessed's name of the key. */
  const taskBindings: Readonly<Record<string, () => void>> = {
    enter: openSelected,
    right: openSelected,
    "/": () => follow(filter()),
    n: () => follow(actions.submit()),
    s: search.open,
    r: openRequests,
    c: onTask(actions.cancel),
    i: onTask(actions.interrupt),
    u: onTask(actions.resume),
    p: onTask((task) => actions.prompt(task)),
    "S-p": onTask((task) => actions.prompt(task, true)),
    a: onTask(actions.answer),
    m: onTask(actions.setModel),
    "S-m": onTask(actions.setMode),
    x: onTask(actions.archive),
    "S-d": onTask(actions.remove),
    w: onTask(queue.open),
    t: onTask(turns.open),
  };
  const requestBindings: Readonly<Record<string, (page: RequestsPage) => void>> = {
    o: onRequest("once"),
    t: onRequest("task"),
    e: onRequest("environment"),
    d: onRequest("deny"),
    enter: openTaskOf,
    right: openTaskOf,
  };
  const bindings: Readonly<Record<string, () => void>> = {
    up: () => move(-1),
    k: () => move(-1),
    down: () => move(1),
    j: () => move(1),
    pageup: pageUp,
    pagedown: pageDown,
    space: pageDown,
    home: toStart,
    g: toStart,
    end: toEnd,
    "S-g": toEnd,
    left: goBack,
    escape: goBack,
    q: () => (model.page.kind === "list" ? options.leave() : back()),
    "C-c": options.leave,
    "C-l": options.redraw,
    "?": () => {
      model.help = true;
    },
  };

  async function filter(): Promise<void> {
    while (model.page.kind !== "list") back();
    const text = await ask("Show tasks with:", model.filter);
    if (text === undefined) return;
    model.filter = text.trim();
    model.selectedId = shownTasks(model)[0]?.id;
    changed();
  }

  return {
    key(key) {
      if (model.asking !== undefined) typing(key, model.asking);
      else if (model.help) model.help = false;
      else {
        model.message = undefined;
        (ownKey(key.full) ?? bindings[key.full])?.();
      }
      changed();
    },
    close() {
      stop.abort();
      closeTask.abort();
    },
  };
}
