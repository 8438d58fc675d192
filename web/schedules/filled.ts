import type { ScheduleJson } from "../../src/client.ts";

/** The form of a schedule as it is filled in: texts, until they are sent. */
export interface Filled {
  name: string;
  prompt: string;
  repositories: readonly { name: string; branch: string }[];
  environment: string;
  agent: string;
  model: string;
  mode: ScheduleJson["task"]["mode"];
  pullRequest: ScheduleJson["task"]["pullRequest"];
  when: ScheduleJson["time"]["kind"];
  expression: string;
  zone: string;
  at: string;
  missed: ScheduleJson["missed"];
  overlap: ScheduleJson["overlap"];
  perHour: string;
}

export function filledFrom(present: ScheduleJson | undefined): Filled {
  const { time, task } = present ?? {};
  return {
    name: present?.name ?? "",
    prompt: task?.prompt ?? "",
    repositories: (task?.repositories ?? []).map(({ name, baseBranch = "" }) => ({
      name,
      branch: baseBranch,
    })),
    environment: task?.environment ?? "default",
    agent: task?.agent ?? "claude",
    model: task?.model ?? "",
    mode: task?.mode ?? "act",
    pullRequest: task?.pullRequest ?? "none",
    when: time?.kind ?? "cron",
    expression: time?.kind === "cron" ? time.expression : "",
    zone: time?.kind === "cron" ? time.zone : Intl.DateTimeFormat().resolvedOptions().timeZone,
    at: time?.kind === "once" ? localText(time.at) : "",
    missed: present?.missed ?? "skip",
    overlap: present?.overlap ?? "skip",
    perHour: String(present?.triggersPerHour ?? 60),
  };
}

export function timeOf({ when, expression, zone, at }: Filled): ScheduleJson["time"] {
  switch (when) {
    case "cron":
      return { kind: "cron", expression, zone };
    case "once":
      // An empty field is no time: 1970, which the appliance refuses in words.
      return { kind: "once", at: new Date(at).getTime() || 0 };
    case "never":
      return { kind: "never" };
  }
}

export function taskOf(it: Filled, attachments: string[]): ScheduleJson["task"] {
  const { prompt, environment, agent, model, mode, pullRequest } = it;
  const repositories = it.repositories.map(({ name, branch }) => ({
    name,
    ...(branch !== "" && { baseBranch: branch }),
  }));
  return { prompt, repositories, environment, agent, model, mode, attachments, pullRequest };
}

/** As a field for local times takes it. */
function localText(at: number): string {
  const minutes = new Date(at).getTimezoneOffset();
  return new Date(at - minutes * 60_000).toISOString().slice(0, 16);
}
