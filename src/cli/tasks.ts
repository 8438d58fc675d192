import { Option } from "commander";
import { ageText, countText } from "../domain/amounts.ts";
import { diffLines } from "../domain/diff-lines.ts";
import { plainLine } from "../domain/plain-text.ts";
import type { TaskStateKind } from "../domain/task.ts";
import { attach, attachHelp } from "./attach.ts";
import { type Cli, collect, wholeNumber } from "./cli.ts";
import { addExportCommand } from "./export.ts";
import { wantsColour } from "./io.ts";
import { addMoveCommands } from "./move-tasks.ts";
import { jsonText, paint, table } from "./output.ts";
import { readPrompt } from "./prompt-text.ts";
import { addOfferCommand } from "./pull-requests.ts";
import { addPutAwayCommands, type Shelves, shelfOf, stateText } from "./put-away.ts";
import { repositoryAndBranch } from "./repository-and-branch.ts";
import { addSteeringCommands, modeOption } from "./steer-tasks.ts";
import { findTaskId, shortId } from "./task-id.ts";
import { addTurnCommands, fromNumber, showTurnDiff, turnNumber } from "./task-turns.ts";
import { addBudgetCommand } from "./usage.ts";

/** The states of domain/task.ts; written out, so that `--help` need not load the schemas. */
const states = [
  ...["queued", "starting", "running", "waiting", "finishing"],
  ...["idle", "paused", "completed", "failed", "cancelled"],
];

const idHelp = "id, beginning or end of one, or `last`";

export function addTaskCommands(cli: Cli): void {
  const { program, io } = cli;
  const task = program.command("task").description("submit tasks and look on");
  const say = (text: string) => io.err.write(`${text}\n`);

  task
    .command("create")
    .aliases(["submit", "run"])
    .description("submit a task; its id is printed")
    .argument(
      "[prompt...]",
      "what is to be done, in plain words; read from standard input where it is left out",
    )
    .option("-r, --repo <name[@branch]>", "repository to work on; may be given several times", collect)
    .option("-e, --env <environment>", "environment", "default")
    .option("--agent <agent>", "who does it; `ccw-server status` lists the agents", "claude")
    .option("-m, --model <model>", "model, as the agent names it")
    .addOption(modeOption())
    .option("-f, --file <file>", "read the prompt from a file; - is standard input")
    .option("-a, --attach <file>", attachHelp, collect)
    .addOption(new Option("--pr <how>", "open a pull request when it completes").choices(["draft", "ready"]))
    .option("--attempts <number>", "let so many work on it side by side, to keep one", wholeNumber(2, 8))
    .option(
      "--attempt-model <model>",
      "models that the attempts take in turn; may be given several times",
      collect,
    )
    .option("--follow", "print the transcript until nothing is left to do; the exit code tells how it went")
    .addHelpText(
      "after",
      `
Examples:
  ccw-server task create --repo demo "Fix the failing test"
  ccw-server task create --repo demo@develop --repo docs --follow < prompt.txt
  id=$(ccw-server task create --repo demo "Update the changelog")`,
    )
    .action(async (words: string[], options: CreateOptions) => {
      const prompt = await readPrompt({ words, file: options.file }, io);
      const client = await cli.connect();
      const attachments = await attach(client, options.attach);
      const json = {
        prompt,
        repositories: (options.repo ?? []).map(repositoryAndBranch),
        environment: options.env,
        agent: options.agent,
        mode: options.mode,
        attachments,
        ...(options.model !== undefined && { model: options.model }),
        ...(options.pr !== undefined && { pullRequest: options.pr }),
      };
      if (options.attempts !== undefined) {
        const { attempts, attemptModel: models = [] } = options;
        const group = await client.read(client.api.groups.$post({ json: { ...json, attempts, models } }));
        await io.out.write(cli.globals().json ? jsonText(group, 2) : `${group.id}\n`);
        return say(`Submitted ${attempts} attempts. To compare them: ccw-server group show ${group.id}`);
      }
      const made = await client.read(client.api.tasks.$post({ json }));
      if (options.follow === true) {
        await say(`Submitted as ${made.id}.`);
        const { followTask } = await import("./follow.ts");
        return cli.exitWith(await followTask(cli, client, made.id, 0));
      }
      await io.out.write(cli.globals().json ? jsonText(made, 2) : `${made.id}\n`);
      await say(
        `Submitted “${plainLine(made.title)}”. To look on: ccw-server task follow ${shortId(made.id)}`,
      );
    });

  task
    .command("list")
    .alias("ls")
    .description("the newest tasks")
    .addOption(new Option("-s, --state <state>", "tasks in this state alone").choices(states))
    .option("--kept", "those alone whose forge did not take all of their work: `task push` tries again")
    .option("-n, --limit <number>", "how many", wholeNumber(1, 500), 30)
    .addOption(new Option("--archived", "the archive alone").conflicts(["all", "deleted"]))
    .addOption(new Option("--all", "the archived ones, too").conflicts("deleted"))
    .option("--deleted", "those that were deleted, and can be restored")
    .addHelpText("after", "\nExample:\n  ccw-server task list --state running --json | jq -r '.[].id'")
    .action(async ({ state, kept, limit, ...shelves }: ListOptions) => {
      const client = await cli.connect();
      const query = {
        limit: String(limit),
        show: shelfOf(shelves),
        ...(state !== undefined && { state }),
        ...(kept && { kept: "only" as const }),
      };
      const tasks = await client.read(client.api.tasks.$get({ query }));
      if (cli.globals().json) return io.out.write(jsonText(tasks, 2));
      if (tasks.length === 0) return say("There are no such tasks.");
      const now = Date.now();
      const rows = tasks.map((row) => [
        shortId(row.id),
        stateText(row, now),
        row.attempt === undefined
          ? row.title
          : `(${row.attempt.number}/${row.attempt.of}${row.attempt.kept === true ? ", kept" : ""}) ${row.title}`,
        row.person,
        ageText(now - row.createdAt),
        countText(row.inputTokens + row.outputTokens),
      ]);
      return io.out.write(
        table(["ID", "STATE", "TITLE", "PERSON", "AGE", "TOKENS"], rows, {
          width: io.out.columns,
          shrink: "TITLE",
        }),
      );
    });

  task
    .command("show")
    .description("one task: its state, prompts and open questions")
    .argument("<task>", idHelp)
    .action(async (text: string) => {
      const client = await cli.connect();
      const param = { id: await findTaskId(client, text) };
      const shown = await client.read(client.api.tasks[":id"].$get({ param }));
      if (cli.globals().json) return io.out.write(jsonText(shown, 2));
      const { showTask } = await import("./task-show.ts");
      return io.out.write(showTask(shown, Date.now(), wantsColour(io)));
    });

  task
    .command("follow")
    .description(
      "print a task's transcript, live, until it has nothing left to do; --json prints one event a line",
    )
    .argument("<task>", idHelp)
    .option("--after <seq>", "begin behind this event", wholeNumber(0, Number.MAX_SAFE_INTEGER), 0)
    .addHelpText(
      "after",
      "\nExamples:\n  ccw-server task follow last\n  ccw-server task follow 4x7k2m --json | jq .body",
    )
    .action(async (text: string, { after }: { after: number }) => {
      const client = await cli.connect();
      const { followTask } = await import("./follow.ts");
      cli.exitWith(await followTask(cli, client, await findTaskId(client, text), after));
    });

  task
    .command("diff")
    .description("what the task's branches add, or its files after a turn, as git prints it")
    .argument("<task>", idHelp)
    .option("-t, --turn <number>", "what the files after this turn add to the base branch", turnNumber)
    .option(
      "--from <number>",
      "with --turn: what they add to this turn, 0 for what it was forked from",
      fromNumber,
    )
    .addHelpText(
      "after",
      "\nExamples:\n  ccw-server task diff last | git apply\n  ccw-server task diff last --turn 3 --from 2",
    )
    .action(async (text: string, turns: { turn?: number; from?: number }) => {
      const client = await cli.connect();
      const param = { id: await findTaskId(client, text) };
      if (turns.turn !== undefined || turns.from !== undefined) return showTurnDiff(cli, param.id, turns);
      const diffs = await client.read(client.api.tasks[":id"].diff.$get({ param }));
      if (cli.globals().json) return io.out.write(jsonText(diffs, 2));
      for (const { repository, workBranch, baseBranch, pushed, diff, truncated } of diffs) {
        await say(
          plainLine(
            `${repository}: ${pushed ? `${baseBranch}…${workBranch}` : `${workBranch} is not pushed yet`}`,
          ),
        );
        // Byte for byte into a pipe; a person's terminal is kept from what stands in the files.
        const colour = wantsColour(io);
        if (!io.out.isTty) await io.out.write(diff);
        else for (const line of diffLines(diff)) await io.out.write(`${paint(line, colour)}\n`);
        if (truncated) await say("The diff is cut: it is too long. Fetch the branch to see all of it.");
      }
    });

  addSteeringCommands(cli, task);

  addOfferCommand(cli, task);
  addPutAwayCommands(cli, task);
  addExportCommand(cli, task);
  addBudgetCommand(cli, task, idHelp);
  addTurnCommands(cli, task);
  addMoveCommands(cli, task, idHelp);

  task
    .command("push")
    .description("push what the forge did not take at the task's end: the appliance has kept it")
    .argument("<task>", idHelp)
    .option("-b, --branch <branch>", "another branch than the task's own")
    .action(async (text: string, { branch }: { branch?: string }) => {
      const client = await cli.connect();
      const param = { id: await findTaskId(client, text) };
      const json = branch === undefined ? {} : { branch };
      const pushed = await client.read(client.api.tasks[":id"].push.$post({ param, json }));
      if (cli.globals().json) return io.out.write(jsonText(pushed, 2));
      for (const each of pushed)
        await say(
          plainLine(`The work in ${each.repository} is on ${each.branch}, at ${each.commit.slice(0, 10)}.`),
        );
    });
}

interface ListOptions extends Shelves {
  state?: TaskStateKind;
  kept?: true;
  limit: number;
}

interface CreateOptions {
  repo?: string[];
  env: string;
  agent: string;
  model?: string;
  mode: "act" | "plan";
  file?: string;
  attach?: string[];
  pr?: "draft" | "ready";
  follow?: boolean;
  attempts?: number;
  attemptModel?: string[];
}
