import { authorityText } from "./access-words.ts";
import type { TaskEvent } from "./event.ts";
import type { Notice, NotificationKind } from "./notification.ts";
import { plainLine } from "./plain-text.ts";
import type { PauseReason } from "./task.ts";
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
 * know. `before`: the state that the task was in. `pausedFor`: why it is paused now, if it is.
 */
export function noticeOf(
  { body }: Pick<TaskEvent, "body">,
  known: { before: string | undefined; person: string; pausedFor: PauseReason | undefined },
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

function stateNotice(
  { state, detail }: { state: string; detail: string },
  { before, pausedFor }: { before: string | undefined; pausedFor: PauseReason | undefined },
): Notice | undefined {
  switch (state) {
    // From elsewhere it goes idle where a person stopped it.
    case "idle":
      return before === "finishing" ? notice("done", "") : undefined;
    case "completed":
      return before === "idle" ? undefined : notice("done", "");
    case "failed":
      return notice("failed", detail);
    case "waiting":
      return notice("question", "The agent waits for an answer.");
    case "paused":
      return pausedFor === "interrupted" ? undefined : notice("paused", detail);
    default:
      return undefined;
  }
}

const maxReason = 400;

const notice = (kind: NotificationKind, reason: string): Notice => ({
  kind,
  reason: cut(plainLine(reason), maxReason),
});
