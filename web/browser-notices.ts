import { effect } from "@preact/signals";
import type { TaskJson } from "../src/client.ts";
import { headlineOf, type NotificationKind } from "../src/domain/notification.ts";
import type { Appliance } from "./appliance.ts";
import { browserNotices } from "./browser-notices-choice.ts";

/**
 * Notifications of this browser, while a page of the appliance is open and nobody looks at it. They are made from the
 * live list of tasks; what has to be told without an open page goes by another channel.
 */
export interface BrowserNotice {
  kind: NotificationKind;
  taskId: string;
  title: string;
}

type Seen = Pick<TaskJson, "id" | "person" | "state" | "title">;

/** What has happened to the person's tasks from one list to the next. New tasks are no news: somebody submitted them. */
export function noticesBetween(
  before: readonly Seen[],
  after: readonly Seen[],
  person: string,
): BrowserNotice[] {
  const states = new Map(before.map(({ id, state }) => [id, state]));
  return after.flatMap(({ id, person: owner, state, title }) => {
    const was = states.get(id);
    const kind = was === undefined || was === state || owner !== person ? undefined : kindOf(was, state);
    return kind === undefined ? [] : [{ kind, taskId: id, title }];
  });
}

function kindOf(was: Seen["state"], state: Seen["state"]): NotificationKind | undefined {
  switch (state) {
    case "idle":
      return "done";
    case "completed":
      return was === "idle" ? undefined : "done";
    case "paused":
      return was === "idle" ? undefined : "paused";
    case "failed":
      return "failed";
    case "waiting":
      return "question";
    case "queued":
    case "starting":
    case "running":
    case "finishing":
    case "cancelled":
      return undefined;
  }
}

/** From now on, until the signal aborts. */
export function startBrowserNotices(
  { tasks, requests, status }: Pick<Appliance, "tasks" | "requests" | "status">,
  ended: AbortSignal,
): void {
  let known: readonly Seen[] | undefined;
  let asked: ReadonlySet<number> | undefined;
  const stop = effect(() => {
    const list = tasks.value;
    const pending = requests.value;
    const person = status.value?.person;
    if (list === undefined || person === undefined) return;
    const notices = known === undefined ? [] : noticesBetween(known, list, person);
    const owners = new Map(list.map((task) => [task.id, task]));
    for (const { id, taskId } of pending) {
      const task = owners.get(taskId);
      if (asked?.has(id) === false && task?.person === person)
        notices.push({ kind: "access", taskId, title: task.title });
    }
    known = list;
    asked = new Set(pending.map(({ id }) => id));
    if (document.hidden) for (const notice of notices) show(notice);
  });
  ended.addEventListener("abort", stop);
}

function show({ kind, taskId, title }: BrowserNotice): void {
  if (!browserNotices.chosen()) return;
  try {
    // Several pages of one browser show one notification: the tag makes them the same.
    const shown = new Notification(headlineOf({ kind, title }), {
      tag: `${taskId}:${kind}`,
      icon: "/icon.svg",
    });
    shown.addEventListener("click", () => {
      window.focus();
      location.assign(`/tasks/${taskId}`);
    });
  } catch {
    // Browsers of phones take them from a service worker alone.
  }
}
