import { type Command, Option } from "commander";
import type { Client, ScheduleJson } from "../client.ts";
import { CcwError } from "../domain/errors.ts";
import { plainLine } from "../domain/plain-text.ts";
import { aheadText, momentText } from "../domain/time-words.ts";
import { attach, attachHelp } from "./attach.ts";
import { type Cli, collect, wholeNumber } from "./cli.ts";
import { jsonText, table } from "./output.ts";
import { readPrompt } from "./prompt-text.ts";
import { repositoryAndBranch } from "./repository-and-branch.ts";
import { showSchedule, timeText } from "./schedule-show.ts";

interface Flags {
  cron?: string;
  zone?: string;
  at?: string;
  time?: boolean;
  missed?: "skip" | "run";
  overlap?: "skip" | "allow";
  perHour?: number;
  repo?: string[];
  env?: string;
  agent?: string;
  model?: string;
  mode?: "act" | "plan";
  pr?: "none" | "draft" | "ready";
  file?: string;
  attach?: string[];
  detach?: true;
  name?: string;
}

const nameHelp = "its name, or its id";

export function addScheduleCommands(cli: Cli): void {
  const { program, io } = cli;
  const schedule = program.command("schedule").description("tasks that start by themselves");
  const say = (text: string) => io.err.write(`${text}\n`);

  withFlags(
    schedule
      .command("add")
      .description("submit a task again and again, once at a time ahead, or by a trigger")
      .argument("<name>", "what you call it")
      .argument("[prompt...]", "what is to be done; read from standard input where it is left out"),
  )
    .addHelpText(
      "after",
      `
A cron pattern has five fields: minute, hour, day of the month, month, day of the week. Without --cron or --at it is
started by hand (\`schedule run\`) or by programs (\`schedule trigger\`).

Examples:
  ccw-server schedule add nightly --cron "0 3 * * MON-FRI" --zone Europe/Berlin --repo demo "Update the dependencies"
  ccw-server schedule add release --at "2026-12-01 09:00" --repo demo@release --pr draft < release.txt
  ccw-server schedule add on-alert --repo demo "Find out why this alert fired" && ccw-server schedule trigger on-alert`,
    )
    .action(async (name: string, words: string[], flags: Flags) => {
      const prompt = await readPrompt({ words, file: flags.file }, io);
      const client = await cli.connect();
      const made = await client.read(
        client.api.schedules.$post({
          json: {
            name,
            time: (await timeOf(flags)) ?? { kind: "never" },
            task: { prompt, ...taskOf(flags), attachments: await attach(client, flags.attach) },
            ...rulesOf(flags),
          },
        }),
      );
      if (cli.globals().json) return io.out.write(jsonText(made, 2));
      return say(`Made ${plainLine(made.name)}: ${timeText(made)}.${nextText(made)}`);
    });

  schedule
    .command("list")
    .alias("ls")
    .description("the schedules, by name")
    .action(async () => {
      const client = await cli.connect();
      const rows = await client.read(client.api.schedules.$get());
      if (cli.globals().json) return io.out.write(jsonText(rows, 2));
      if (rows.length === 0) return say("There are no schedules yet: ccw-server schedule add NAME --cron …");
      const now = Date.now();
      const cells = rows.map((row) => [
        row.name,
        row.enabled ? (row.lastError === "" ? "on" : "failing") : "paused",
        timeText(row),
        row.next[0] === undefined ? "" : momentText(row.next[0], now),
        row.person,
        plainLine(row.task.prompt).slice(0, 200),
      ]);
      const head = ["NAME", "STATE", "WHEN", "NEXT", "PERSON", "PROMPT"];
      return io.out.write(table(head, cells, { width: io.out.columns, shrink: "PROMPT" }));
    });

  schedule
    .command("show")
    .description("one schedule, its next times, and what came of it")
    .argument("<schedule>", nameHelp)
    .action(async (text: string) => {
      const client = await cli.connect();
      const param = { id: (await find(client, text)).id };
      const shown = await client.read(client.api.schedules[":id"].$get({ param }));
      return io.out.write(cli.globals().json ? jsonText(shown, 2) : showSchedule(shown, Date.now()));
    });

  withFlags(
    schedule
      .command("edit")
      .description("change what is given; all else stays")
      .argument("<schedule>", nameHelp)
      .argument("[prompt...]", "another prompt"),
  )
    .option("--name <name>", "another name")
    .option("--detach", "leave out the files that it has; those of --attach come in their place")
    .option("--no-time", "no time: by hand or by its trigger alone")
    .addHelpText("after", '\nExample:\n  ccw-server schedule edit nightly --cron "30 4 * * *" --missed run')
    .action(async (text: string, words: string[], flags: Flags) => {
      const client = await cli.connect();
      const before = await find(client, text);
      const prompt =
        words.length > 0 || flags.file !== undefined
          ? { prompt: await readPrompt({ words, file: flags.file }, io) }
          : {};
      const kept = flags.detach === true ? [] : before.task.attachments;
      const files = flags.detach === true || flags.attach !== undefined;
      const task = {
        ...prompt,
        // A model of another agent is none of this one's.
        ...(flags.agent !== undefined && flags.agent !== before.task.agent && { model: "" }),
        ...taskOf(flags),
        ...(files && { attachments: [...kept, ...(await attach(client, flags.attach))] }),
      };
      const time = flags.time === false ? ({ kind: "never" } as const) : await timeOf(flags, before);
      const rules = rulesOf(flags);
      const parts = [flags.name, time, ...Object.keys(task), ...Object.keys(rules)];
      if (parts.every((part) => part === undefined)) {
        throw new CcwError(
          "invalid",
          "Nothing is given that would change the schedule.",
          "Give another prompt, or options: `ccw-server schedule edit --help` shows them.",
        );
      }
      const changed = await client.read(
        client.api.schedules[":id"].$patch({
          param: { id: before.id },
          json: {
            ...(flags.name !== undefined && { name: flags.name }),
            ...(time !== undefined && { time }),
            ...(Object.keys(task).length > 0 && { task: { ...before.task, ...task } }),
            ...rules,
          },
        }),
      );
      if (cli.globals().json) return io.out.write(jsonText(changed, 2));
      return say(`Changed ${plainLine(changed.name)}: ${timeText(changed)}.${nextText(changed)}`);
    });

  for (const [verb, enabled, about] of [
    ["pause", false, "let no time and no trigger start its task"],
    ["resume", true, "let it go on, from the next time ahead"],
  ] as const) {
    schedule
      .command(verb)
      .description(about)
      .argument("<schedule>", nameHelp)
      .action(async (text: string) => {
        const client = await cli.connect();
        const param = { id: (await find(client, text)).id };
        const row = await client.read(client.api.schedules[":id"].$patch({ param, json: { enabled } }));
        if (cli.globals().json) return io.out.write(jsonText(row, 2));
        return say(`${plainLine(row.name)} ${enabled ? "goes on" : "is paused"}.${nextText(row)}`);
      });
  }

  schedule
    .command("run")
    .description("submit its task now; the task's id is printed")
    .argument("<schedule>", nameHelp)
    .action(async (text: string) => {
      const client = await cli.connect();
      const param = { id: (await find(client, text)).id };
      const made = await client.read(client.api.schedules[":id"].run.$post({ param }));
      return io.out.write(cli.globals().json ? jsonText(made, 2) : `${made.id}\n`);
    });

  schedule
    .command("trigger")
    .description("make the address and token by which programs start its task")
    .argument("<schedule>", nameHelp)
    .option("--remove", "end the trigger instead")
    .addHelpText(
      "after",
      `
The token is shown this once, and one made before is void. What is sent along, up to 64 KiB of text or JSON, is put into
the prompt as data that the agent is told not to trust.

Example:
  curl -H "Authorization: Bearer TOKEN" -H "Idempotency-Key: alert-17" --data-binary @alert.json ADDRESS`,
    )
    .action(async (text: string, { remove = false }: { remove?: boolean }) => {
      const client = await cli.connect();
      const { id, name } = await find(client, text);
      const param = { id };
      if (remove) {
        await client.read(client.api.schedules[":id"].trigger.$delete({ param }));
        return say(`${plainLine(name)} has no trigger any more.`);
      }
      const made = await client.read(client.api.schedules[":id"].trigger.$post({ param }));
      return io.out.write(cli.globals().json ? jsonText(made, 2) : `${made.url}\n${made.token}\n`);
    });

  schedule
    .command("remove")
    .alias("rm")
    .description("forget a schedule; its tasks stay")
    .argument("<schedule>", nameHelp)
    .action(async (text: string) => {
      const client = await cli.connect();
      const { id, name } = await find(client, text);
      await client.read(client.api.schedules[":id"].$delete({ param: { id } }));
      await say(`Removed ${plainLine(name)}.`);
    });
}

function withFlags(command: Command): Command {
  return command
    .option("--cron <pattern>", "five fields, as in a crontab")
    .option("--zone <zone>", "time zone, such as Europe/Berlin; this machine's where it is left out")
    .addOption(new Option("--at <time>", "once, at 2026-12-01 09:00").conflicts(["cron"]))
    .addOption(
      new Option("--missed <policy>", "of times while the appliance was away").choices(["skip", "run"]),
    )
    .addOption(
      new Option("--overlap <policy>", "of times while its last task is at work").choices(["skip", "allow"]),
    )
    .option("--per-hour <number>", "tasks that its trigger may start within an hour", wholeNumber(1, 10_000))
    .option("-r, --repo <name[@branch]>", "repository to work on; may be given several times", collect)
    .option("-e, --env <environment>", "environment")
    .option("--agent <agent>", "who does it, such as codex; claude where it is left out")
    .option("-m, --model <model>", "model, as the agent names it")
    .addOption(new Option("--mode <mode>", "whether the agent acts or plans first").choices(["act", "plan"]))
    .option("-f, --file <file>", "read the prompt from a file; - is standard input")
    .option("-a, --attach <file>", attachHelp, collect)
    .addOption(
      new Option("--pr <how>", "open a pull request when it completes").choices(["none", "draft", "ready"]),
    );
}

/** Undefined where no time was given. A zone alone changes that of a schedule which has one. */
async function timeOf(
  { cron, at, zone }: Flags,
  before?: ScheduleJson,
): Promise<ScheduleJson["time"] | undefined> {
  const old = before?.time.kind === "cron" ? before.time : undefined;
  const place = zone ?? old?.zone ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (at !== undefined) {
    const { momentOf } = await import("../domain/cron.ts");
    return { kind: "once", at: momentOf(at, place) };
  }
  const expression = cron ?? (zone === undefined ? undefined : old?.expression);
  if (expression !== undefined) return { kind: "cron", expression, zone: place };
  if (zone === undefined) return undefined;
  throw new CcwError("invalid", "A time zone is given without a time.", "Give --cron or --at as well.");
}

function rulesOf({ missed, overlap, perHour }: Flags) {
  return {
    ...(missed !== undefined && { missed }),
    ...(overlap !== undefined && { overlap }),
    ...(perHour !== undefined && { triggersPerHour: perHour }),
  };
}

function taskOf({ repo, env, agent, model, mode, pr }: Flags) {
  return {
    ...(repo !== undefined && { repositories: repo.map(repositoryAndBranch) }),
    ...(env !== undefined && { environment: env }),
    ...(agent !== undefined && { agent }),
    ...(model !== undefined && { model }),
    ...(mode !== undefined && { mode }),
    ...(pr !== undefined && { pullRequest: pr }),
  };
}

function nextText({ next }: ScheduleJson): string {
  const now = Date.now();
  return next[0] === undefined ? "" : ` Next: ${momentText(next[0], now)} (${aheadText(next[0] - now)}).`;
}

async function find(client: Client, text: string): Promise<ScheduleJson> {
  const rows = await client.read(client.api.schedules.$get());
  const found = rows.find(({ id, name }) => id === text || name.toLowerCase() === text.toLowerCase());
  if (found !== undefined) return found;
  throw new CcwError(
    "not_found",
    `There is no schedule ${JSON.stringify(text.slice(0, 80))}.`,
    rows.length === 0
      ? "`ccw-server schedule add` makes one."
      : `There are: ${rows.map(({ name }) => name).join(", ")}.`,
  );
}
