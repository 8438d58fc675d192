import { type Command, Option } from "commander";
import type { Client, PullRequestJson } from "../client.ts";
import { ageText } from "../domain/amounts.ts";
import { CcwError } from "../domain/errors.ts";
import { plainLine } from "../domain/plain-text.ts";
import { maxBody, mostRounds, nameOf } from "../domain/pull-request.ts";
import { type Cli, wholeNumber } from "./cli.ts";
import { wantsColour } from "./io.ts";
import { jsonText, table } from "./output.ts";
import { findTaskId, shortId } from "./task-id.ts";

const idHelp = "`name#number`, or the id of a pull request or its end";

interface OpenOptions {
  draft?: boolean;
  title?: string;
  bodyFile?: string;
  repo?: string;
}

/** `task pr`, beside the other things that are done to a task. */
export function addOfferCommand(cli: Cli, task: Command): void {
  const { io } = cli;
  task
    .command("pr")
    .description(
      "offer a task's work for review: its pull request is opened, or shown where it is open already",
    )
    .argument("<task>", "id, beginning or end of one, or `last`")
    .option("--draft", "not ready for review yet")
    .option("-t, --title <title>", "instead of the one that is drafted from the work")
    .option("-b, --body-file <file>", "read the description from a file")
    .option("-r, --repo <name>", "one repository of the task; all that it has pushed to where it is left out")
    .addHelpText("after", "\nExamples:\n  ccw-server task pr last\n  ccw-server task pr 4x7k2m --draft")
    .action(async (text: string, { draft = false, title, bodyFile, repo }: OpenOptions) => {
      const body = bodyFile === undefined ? undefined : await readBody(bodyFile);
      const client = await cli.connect();
      const param = { id: await findTaskId(client, text) };
      const json = {
        draft,
        ...(title !== undefined && { title }),
        ...(body !== undefined && { body }),
        ...(repo !== undefined && { repository: repo }),
      };
      const opened = await client.read(client.api.tasks[":id"]["pull-requests"].$post({ param, json }));
      if (cli.globals().json) return io.out.write(jsonText(opened, 2));
      for (const one of opened) await io.out.write(`${plainLine(one.webUrl || nameOf(one))}\n`);
      const [own] = opened.filter(({ keptBy }) => keptBy === "appliance");
      if (own !== undefined)
        await io.err.write(`The appliance keeps it. To merge: ccw-server pr merge ${shortId(own.id)}\n`);
    });
}

export function addPullRequestCommands(cli: Cli): void {
  const { program, io } = cli;
  const pr = program.command("pr").description("pull requests of tasks: look on, follow, merge");
  const say = (text: string) => io.err.write(`${plainLine(text)}\n`);
  const show = async (changed: PullRequestJson, words: string) =>
    cli.globals().json ? io.out.write(jsonText(changed, 2)) : say(words);

  pr.command("list")
    .alias("ls")
    .description("the newest pull requests")
    .addOption(
      new Option("-s, --state <state>", "those in this state alone").choices(["open", "merged", "closed"]),
    )
    .option("-r, --repo <name>", "of this repository alone")
    .option("-t, --task <task>", "of this task alone")
    .option("-n, --limit <number>", "how many", wholeNumber(1, 500), 30)
    .action(async (options: ListOptions) => {
      const client = await cli.connect();
      const task = options.task === undefined ? undefined : await findTaskId(client, options.task);
      const { state, repo: repository } = options;
      const query = {
        ...(state !== undefined && { state }),
        ...(repository !== undefined && { repository }),
        ...(task !== undefined && { task }),
        limit: String(options.limit),
      };
      const rows = await client.read(client.api["pull-requests"].$get({ query }));
      if (cli.globals().json) return io.out.write(jsonText(rows, 2));
      if (rows.length === 0) return say("There are no such pull requests. `ccw-server task pr` opens one.");
      const cells = rows.map((row) => [
        shortId(row.id),
        nameOf(row),
        row.draft && row.state === "open" ? "draft" : row.state,
        row.checksState === "none" ? "" : row.checksState,
        row.follow.on ? `${row.follow.rounds}/${row.follow.maxRounds}` : "",
        row.title,
        ageText(Date.now() - row.createdAt),
      ]);
      return io.out.write(
        table(["ID", "PULL REQUEST", "STATE", "CHECKS", "FOLLOWED", "TITLE", "AGE"], cells, {
          width: io.out.columns,
          shrink: "TITLE",
        }),
      );
    });

  pr.command("show")
    .description("one pull request: its state, checks, commits and comments")
    .argument("<id>", idHelp)
    .action(async (text: string) => {
      const client = await cli.connect();
      const { id } = await findPullRequest(client, text);
      const shown = await client.read(client.api["pull-requests"][":id"].$get({ param: { id } }));
      if (cli.globals().json) return io.out.write(jsonText(shown, 2));
      const { showPullRequest } = await import("./pull-request-show.ts");
      return io.out.write(showPullRequest(shown, Date.now(), wantsColour(io)));
    });

  pr.command("follow")
    .description("have failed checks and reviewers' comments become work for the task")
    .argument("<id>", idHelp)
    .option("--off", "do not follow it any more")
    .option("--rounds <number>", "how many prompts may come of it", wholeNumber(1, mostRounds))
    .addHelpText("after", "\nOnly comments of people who may write to the repository count.")
    .action(async (text: string, { off = false, rounds }: { off?: boolean; rounds?: number }) => {
      const client = await cli.connect();
      const { id } = await findPullRequest(client, text);
      const json = { on: !off, ...(rounds !== undefined && { maxRounds: rounds }) };
      const now = await client.read(client.api["pull-requests"][":id"].follow.$put({ param: { id }, json }));
      const { on, maxRounds } = now.follow;
      return show(now, on ? `Followed, for up to ${maxRounds} rounds.` : "Not followed any more.");
    });

  pr.command("ready")
    .description("mark a draft as ready for review")
    .argument("<id>", idHelp)
    .action(async (text: string) => {
      const client = await cli.connect();
      const { id } = await findPullRequest(client, text);
      const json = { draft: false };
      const now = await client.read(client.api["pull-requests"][":id"].$patch({ param: { id }, json }));
      return show(now, "Ready for review.");
    });

  pr.command("merge")
    .description("merge one that the appliance keeps itself")
    .argument("<id>", idHelp)
    .option(
      "--commit <commit>",
      "what you have looked at, as `pr show` prints it: refuses if the branch has moved on",
    )
    .action(async (text: string, { commit }: { commit?: string }) => {
      const client = await cli.connect();
      const { id, head, headCommit } = await findPullRequest(client, text);
      if (commit !== undefined && (commit.length < 7 || !headCommit.startsWith(commit))) {
        throw new CcwError(
          "conflict",
          `The branch ${head} is at ${headCommit.slice(0, 10)}, not at ${commit}.`,
          "Look at what is new, then merge that.",
        );
      }
      const json = { headCommit };
      const now = await client.read(client.api["pull-requests"][":id"].merge.$post({ param: { id }, json }));
      return show(now, `Merged ${headCommit.slice(0, 10)} into ${now.base}.`);
    });

  pr.command("close")
    .description("close one that the appliance keeps itself, without merging it")
    .argument("<id>", idHelp)
    .action(async (text: string) => {
      const client = await cli.connect();
      const { id } = await findPullRequest(client, text);
      const now = await client.read(client.api["pull-requests"][":id"].close.$post({ param: { id } }));
      return show(now, `Closed. The branch ${now.head} stays.`);
    });
}

interface ListOptions {
  state?: PullRequestJson["state"];
  repo?: string;
  task?: string;
  limit: number;
}

/** Exactly one among the newest, or a CcwError. */
async function findPullRequest(client: Client, text: string): Promise<PullRequestJson> {
  const rows = await client.read(client.api["pull-requests"].$get({ query: { limit: "500" } }));
  const wanted = text.toLowerCase();
  const found = rows.filter(
    (row) =>
      nameOf(row).toLowerCase() === wanted ||
      (wanted.startsWith("#") && wanted === `#${row.number}`) ||
      (wanted.length >= 4 && row.id.endsWith(wanted)),
  );
  const [only, another] = found;
  if (only === undefined) {
    throw new CcwError(
      "not_found",
      `There is no pull request ${JSON.stringify(text.slice(0, 200))} among the newest ${rows.length}.`,
      "`ccw-server pr list` shows them; name#number or the end of an id names one.",
    );
  }
  if (another === undefined) return only;
  const some = found.slice(0, 5).map((row) => `${shortId(row.id)} (${nameOf(row)})`);
  throw new CcwError(
    "invalid",
    `${JSON.stringify(text.slice(0, 200))} stands for ${found.length} pull requests.`,
    `Give the end of the id: ${some.join(", ")}.`,
  );
}

async function readBody(file: string): Promise<string> {
  const { readTextFile } = await import("./prompt-text.ts");
  return readTextFile(file, maxBody);
}
