import { authorityText } from "./access-words.ts";
import type { TaskEvent } from "./event.ts";
import type { Notice, NotificationKind, StatesAround } from "./notification.ts";
import { plainLine } from "./plain-text.ts";
import { cut } from "./text-line.ts";

/** Kinds of event that can mean something to a person; all others are never looked at. */
export const notableEvents = [
  "state",
  "access_requested",
  "pull_request_opened",
  "pull_request_updated",
] as const satisfies readonly TaskEvent["body"]["kind"][];

/**
 * What an event is to the person whose task it is; undefined for what they did themselves, know already, or need not
 * know. `before` and `after`: the states that the task was in, and that it went to at once.
 */
export function noticeOf(
  { body }: Pick<TaskEvent, "body">,
  known: { person: string } & StatesAround,
): Notice | undefined {
  switch (body.kind) {
    case "state":
      return stateNotice(body, known);
    case "access_requested":
      return notice("access", `The sandbox was refused ${authorityText(body)} and asks for access.`);
    case "pull_request_opened":
      return body.person === known.person
        ? undefined
        : notice("pull_request", `Pull request #${body.number} of ${body.repository} is open.`);
    case "pull_request_updated":
      return body.failedChecks === undefined
        ? undefined
        : notice("checks_failed", `Pull request #${body.number} of ${body.repository} ${body.detail}.`);
    default:
      return undefined;
  }
}

/** Of a schedule that has failed too often in a row, to the person in whose name it submits. */
export const pausedNotice = (schedule: string, reason: string): Notice & { title: string } => ({
  ...notice("schedule_paused", reason),
  title: schedule,
});

function stateNotice(
  { state, detail }: { state: string; detail: string },
  { before, after }: StatesAround,
): Notice | undefined {
  switch (state) {
    // From elsewhere it goes idle where a person stopped it; and it goes on at once where prompts have come meanwhile.
    case "idle":
      return before === "finishing" && after !== "running" ? notice("done", "") : undefined;
    case "completed":
      return before === "idle" ? undefined : notice("done", "");
    case "failed":
      return notice("failed", detail);
    case "waiting":
      return notice("question", "The agent waits for an answer.");
    // From idle it is what a person has interrupted, and its sandbox that falls asleep.
    case "paused":
      return before === "idle" ? undefined : notice("paused", detail);
    default:
      return undefined;
  }
}

const maxReason = 400;

const notice = (kind: NotificationKind, reason: string): Notice => ({
  kind,
  reason: cut(plainLine(reason), maxReason),
});
