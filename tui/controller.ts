import type { Client, TaskJson } from "../src/client.ts";
import { keptInPlace } from "../src/domain/access-order.ts";
import type { AccessDecision } from "../src/domain/access-request.ts";
import { CcwError, messageOf } from "../src/domain/errors.ts";
import { createActions } from "./actions.ts";
import { type Key, typeKey } from "./line-input.ts";
import {
  currentRequest,
  currentTask,
  type Model,
  type RequestsPage,
  select,
  selectRequest,
  shownTasks,
  takeTasks,
} from "./model.ts";
import { createTranscript } from "./transcript.ts";

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

/** How often the server is asked how it does; it also finds out that the server is gone. */
const statusMs = 2000;

/** Keeps the model as the server has it, and does what keys say. */
export function createController(options: ControllerOptions): Controller {
  const { client, model, changed } = options;
  const stop = new AbortController();
  let closeTask = new AbortController();
  let asked: { resolve(text: string | undefined): void } | undefined;

  const actions = createActions({ client, ask, confirm, say });

  follow(watchList());
  const polling = setInterval(() => follow(pollStatus()), statusMs);
  follow(pollStatus());

  async function watchList(): Promise<void> {
    for await (const { tasks, requests } of client.watchAppliance(stop.signal)) {
      takeTasks(model, tasks);
      model.requests = requests;
      if (model.page.kind === "requests") follow(readRequests(model.page));
      changed();
    }
  }

  async function pollStatus(): Promise<void> {
    try {
      model.status = await client.read(client.api.status.$get());
      model.connection = "up";
      // Refusals that repeat are only counted; nothing else tells of them.
      if (model.page.kind === "requests") await readRequests(model.page);
    } catch (thrown) {
      model.connection = "lost";
      // That the server is gone stands in the header already.
      if (!(thrown instanceof CcwError && thrown.code === "unavailable")) throw thrown;
    }
    changed();
  }

  async function readRequests(page: RequestsPage): Promise<void> {
    const list = (query: { state?: "pending"; limit: string }) =>
      client.read(client.api["access-requests"].$get({ query }));
    // What waits is shown whole, however much was decided since.
    const [waiting, newest] = await Promise.all([
      list({ state: "pending", limit: "1000" }),
      list({ limit: "100" }),
    ]);
    const rows = [...waiting, ...newest.filter(({ state }) => state !== "pending")];
    page.requests = keptInPlace(page.requests ?? [], rows);
    // By its id from here on: what comes first may be another by the time that a key is pressed.
    page.selectedId = currentRequest(page)?.id;
    changed();
  }

  function openRequests(): void {
    const task = currentTask(model);
    const first = model.requests.find(({ taskId }) => taskId === task?.id);
    closeTask.abort();
    const page: RequestsPage = { kind: "requests", requests: undefined, selectedId: first?.id, top: 0 };
    model.page = page;
    follow(readRequests(page));
  }

  function open(task: TaskJson): void {
    closeTask.abort();
    closeTask = new AbortController();
    const { signal } = closeTask;
    const transcript = createTranscript();
    model.page = { kind: "task", task, transcript };
    follow(
      (async () => {
        for await (const events of client.followTask(task.id, 0, signal)) {
          transcript.add(events);
          changed();
        }
      })(),
    );
  }

  function back(): void {
    closeTask.abort();
    model.page = { kind: "list" };
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
    if (model.page.kind === "task") model.page.transcript.scroll(by);
    else if (model.page.kind === "requests") selectRequest(model.page, by);
    else select(model, by);
  }

  const onTask = (act: (task: TaskJson) => Promise<void>) => () => {
    const task = currentTask(model);
    if (model.page.kind !== "requests" && task !== undefined) follow(act(task));
  };
  const onRequest = (decision: AccessDecision) => () => {
    const request = model.page.kind === "requests" ? currentRequest(model.page) : undefined;
    if (request === undefined) return;
    const open = request.state === "pending" || (request.state === "expired" && decision === "environment");
    if (open) follow(actions.decide(request, decision));
  };
  const openCurrent = () => {
    const { page } = model;
    if (page.kind === "task") return;
    const wanted = page.kind === "requests" ? currentRequest(page)?.taskId : currentTask(model)?.id;
    const task = model.tasks.find(({ id }) => id === wanted);
    if (task !== undefined) open(task);
  };
  const goBack = () => {
    if (model.page.kind === "list") model.filter = "";
    else back();
  };
  const toStart = () => move(Number.NEGATIVE_INFINITY);
  const toEnd = () => move(Number.POSITIVE_INFINITY);
  const pageUp = () => move(-options.pageRows());
  const pageDown = () => move(options.pageRows());

  /** By blessed's name of the key. */
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
    enter: openCurrent,
    right: openCurrent,
    left: goBack,
    escape: goBack,
    q: () => (model.page.kind === "list" ? options.leave() : back()),
    "C-c": options.leave,
    "C-l": options.redraw,
    "?": () => {
      model.help = true;
    },
    "/": () => follow(filter()),
    n: () => follow(actions.submit()),
    c: onTask(actions.cancel),
    i: onTask(actions.interrupt),
    u: onTask(actions.resume),
    p: onTask((task) => actions.prompt(task)),
    "S-p": onTask((task) => actions.prompt(task, true)),
    a: onTask(actions.answer),
    r: openRequests,
    o: onRequest("once"),
    t: onRequest("task"),
    e: onRequest("environment"),
    d: onRequest("deny"),
  };

  async function filter(): Promise<void> {
    back();
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
        bindings[key.full]?.();
      }
      changed();
    },
    close() {
      clearInterval(polling);
      stop.abort();
      closeTask.abort();
    },
  };
}
