import type { ScheduleJson, ScheduleRunJson } from "../client.ts";
import { ageText } from "../domain/amounts.ts";
import { plainLine } from "../domain/plain-text.ts";
import { attachmentText } from "../domain/steering-words.ts";
import { aheadText, momentText } from "../domain/time-words.ts";
import { facts, table } from "./output.ts";
import { shortId } from "./task-id.ts";

/** A schedule for people; times by the clock of this machine, and of its own zone where that is another. */
export function showSchedule(
  { schedule, runs }: { schedule: ScheduleJson; runs: ScheduleRunJson[] },
  now: number,
): string {
  const { time, task, trigger } = schedule;
  const zone = time.kind === "cron" ? time.zone : undefined;
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const head = facts([
    ["Schedule", schedule.name],
    ["State", schedule.enabled ? "on" : "paused"],
    ["Trouble", schedule.lastError],
    ["When", timeText(schedule)],
    ...schedule.next.map((at, index) => {
      const there = zone === undefined || zone === own ? "" : `, ${momentText(at, now, zone)} in ${zone}`;
      const words = `${momentText(at, now)}${there} (${aheadText(at - now)})`;
      return [index === 0 ? "Next" : "", words] as const;
    }),
    ["Missed times", schedule.missed === "skip" ? "are skipped" : "are made up for by one run"],
    [
      "Overlap",
      schedule.overlap === "skip" ? "skipped while its last task is at work" : "tasks may run side by side",
    ],
    [
      "Trigger",
      trigger === undefined ? "" : `${trigger.url}, at most ${schedule.triggersPerHour} tasks an hour`,
    ],
    ["Person", schedule.person],
    ["Environment", task.environment],
    ["Agent", [task.agent, task.model, task.mode === "plan" ? "plans first" : ""].filter(Boolean).join(", ")],
    ...task.repositories.map(
      ({ name, baseBranch }) =>
        ["Repository", baseBranch === undefined ? name : `${name}@${baseBranch}`] as const,
    ),
    ["Pull request", task.pullRequest === "none" ? "" : task.pullRequest],
    ["Prompt", task.prompt],
    ["Files", schedule.attachments.map((file) => plainLine(attachmentText(file))).join(", ")],
  ]);
  if (runs.length === 0) return head;
  const rows = runs.map(({ at, cause, task: made, reason }) => [
    `${ageText(now - at)} ago`,
    cause,
    made === undefined ? "" : shortId(made.id),
    made === undefined ? plainLine(reason) : (made.state ?? "deleted"),
  ]);
  return `${head}\n${table(["RUN", "BY", "TASK", "OUTCOME"], rows, { width: undefined })}`;
}

/** `0 3 * * * Europe/Berlin`, `once, tomorrow 09:00 Europe/Berlin`, `no time`. */
export function timeText({ time, trigger }: Pick<ScheduleJson, "time" | "trigger">): string {
  switch (time.kind) {
    case "cron":
      return `${time.expression} ${time.zone}`;
    case "once":
      return `once, ${momentText(time.at, Date.now())} ${Intl.DateTimeFormat().resolvedOptions().timeZone}`;
    case "never":
      return trigger === undefined ? "no time" : "by its trigger";
  }
}
