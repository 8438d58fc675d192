import { type Command, Option } from "commander";
import type { Client } from "../client.ts";
import { ageText } from "../domain/amounts.ts";
import { diffLines } from "../domain/diff-lines.ts";
import { CcwError } from "../domain/errors.ts";
import { plainLine } from "../domain/plain-text.ts";
import { forkedTurn, turnInWords } from "../domain/snapshots.ts";
import { type Cli, wholeNumber } from "./cli.ts";
import { wantsColour } from "./io.ts";
import { jsonText, paint, table } from "./output.ts";
import { readPrompt } from "./prompt-text.ts";
import { saveFile } from "./save-file.ts";
import { findTaskId, shortId } from "./task-id.ts";

const idHelp = "id, beginning or end of one, or `last`";
const turnHelp = "number of a turn, as `task turns` shows it";
export const turnNumber = wholeNumber(1, 1_000_000);
export const fromNumber = wholeNumber(forkedTurn, 1_000_000);
const fromHelp =
  "against this turn, 0 for what it was forked from; against the base branch where it is left out";

/** What can be done with a task's snapshots: one after each of its turns. */
export function addTurnCommands(cli: Cli, task: Command): void {
  const { io } = cli;
  const say = (text: string) => io.err.write(`${text}\n`);

  task
    .command("turns")
    .description("the turns of a task: each can be looked at, rolled back to, and forked from")
    .argument("<task>", idHelp)
    .action(async (text: string) => {
      const client = await cli.connect();
      const param = { id: await findTaskId(client, text) };
      const turns = await client.read(client.api.tasks[":id"].snapshots.$get({ param }));
      if (cli.globals().json) return io.out.write(jsonText(turns, 2));
      if (turns.length === 0) return say("The task has no snapshots yet: one is made after each turn.");
      const now = Date.now();
      const rows = turns.map(({ turn, at, files, kept, previous, prompt }) => [
        String(turn),
        ageText(now - at),
        kept ? (files === undefined ? "?" : String(files)) : "gone",
        previous === undefined || previous === turn - 1 ? "" : `after ${previous}`,
        plainLine(prompt),
      ]);
      return io.out.write(
        table(["TURN", "AGE", "FILES", "", "PROMPT"], rows, { width: io.out.columns, shrink: "PROMPT" }),
      );
    });

  task
    .command("patch")
    .description("what a turn has made of the base branch, or of another turn, for `git apply`")
    .argument("<task>", idHelp)
    .option("-t, --turn <number>", `${turnHelp}; the last where it is left out`, turnNumber)
    .option("--from <number>", fromHelp, fromNumber)
    .option("-r, --repo <name>", "which of several repositories")
    .option("-o, --output <file>", "write it there; to standard output where it is left out")
    .addHelpText("after", "\nExample:\n  ccw-server task patch last | git apply")
    .action(async (text: string, options: PatchOptions) => {
      const client = await cli.connect();
      const id = await findTaskId(client, text);
      const turn = String(options.turn ?? (await lastTurn(client, id)));
      const query = {
        ...(options.from !== undefined && { from: String(options.from) }),
        ...(options.repo !== undefined && { repository: options.repo }),
      };
      const bytes = await client.download(
        client.api.tasks[":id"].snapshots[":turn"].patch.$get({ param: { id, turn }, query }),
      );
      return saveFile(cli, bytes, options.output);
    });

  task
    .command("files")
    .description("all files as they are after a turn")
    .argument("<task>", idHelp)
    .requiredOption("-o, --output <file>", "write it there; - is standard output")
    .option("-t, --turn <number>", `${turnHelp}; the last where it is left out`, turnNumber)
    .option("-r, --repo <name>", "which of several repositories")
    .addOption(
      new Option("--format <format>", "zip where the file's name ends so").choices(["tar.gz", "zip"]),
    )
    .addHelpText("after", "\nExample:\n  ccw-server task files last -o work.zip")
    .action(async (text: string, options: ArchiveOptions) => {
      const client = await cli.connect();
      const id = await findTaskId(client, text);
      const turn = String(options.turn ?? (await lastTurn(client, id)));
      const query = {
        format: options.format ?? (options.output.endsWith(".zip") ? "zip" : "tar.gz"),
        ...(options.repo !== undefined && { repository: options.repo }),
      };
      const bytes = await client.download(
        client.api.tasks[":id"].snapshots[":turn"].archive.$get({ param: { id, turn }, query }),
      );
      return saveFile(cli, bytes, options.output);
    });

  task
    .command("rollback")
    .description("put a task that rests back to how it was after a turn: files and conversation")
    .argument("<task>", idHelp)
    .argument("<turn>", turnHelp, turnNumber)
    .action(async (text: string, turn: number) => {
      const client = await cli.connect();
      const param = { id: await findTaskId(client, text) };
      await client.read(client.api.tasks[":id"].rollback.$post({ param, json: { turn } }));
      return say(`The task is as it was after turn ${turn}; its next prompt goes on from there.`);
    });

  task
    .command("fork")
    .description("a new task that begins as another one was after a turn; its id is printed")
    .argument("<task>", idHelp)
    .argument("<turn>", turnHelp, turnNumber)
    .argument("[prompt...]", "the prompt; read from standard input where it is left out")
    .option("-f, --file <file>", "read the prompt from a file; - is standard input")
    .option("-m, --model <model>", "another model, as the agent names it")
    .addHelpText("after", '\nExample:\n  ccw-server task fork last 2 "Try it without the cache"')
    .action(async (text: string, turn: number, words: string[], options: ForkOptions) => {
      const prompt = await readPrompt({ words, file: options.file }, io);
      const client = await cli.connect();
      const param = { id: await findTaskId(client, text) };
      const json = { turn, prompt, ...(options.model !== undefined && { model: options.model }) };
      const made = await client.read(client.api.tasks[":id"].fork.$post({ param, json }));
      await io.out.write(cli.globals().json ? jsonText(made, 2) : `${made.id}\n`);
      return say(
        `Submitted “${plainLine(made.title)}”. To look on: ccw-server task follow ${shortId(made.id)}`,
      );
    });
}

/** `task diff --turn`: what lies between the base branch, or another turn, and a turn. */
export async function showTurnDiff(
  cli: Cli,
  id: string,
  { turn, from }: { turn?: number; from?: number },
): Promise<void> {
  const { io } = cli;
  const client = await cli.connect();
  const param = { id, turn: String(turn ?? (await lastTurn(client, id))) };
  const query = from === undefined ? {} : { from: String(from) };
  const diffs = await client.read(client.api.tasks[":id"].snapshots[":turn"].diff.$get({ param, query }));
  if (cli.globals().json) return io.out.write(jsonText(diffs, 2));
  const colour = wantsColour(io);
  for (const { repository, kept, diff, truncated } of diffs) {
    const what = `${from === undefined ? "base branch" : turnInWords(from)}…turn ${param.turn}`;
    await io.err.write(`${plainLine(`${repository}: ${kept ? what : "there is no snapshot of it"}`)}\n`);
    // Byte for byte into a pipe; a person's terminal is kept from what stands in the files.
    if (!io.out.isTty) await io.out.write(diff);
    else for (const line of diffLines(diff)) await io.out.write(`${paint(line, colour)}\n`);
    if (truncated) await io.err.write("The diff is cut: it is too long. `task patch` has all of it.\n");
  }
}

async function lastTurn(client: Client, id: string): Promise<number> {
  const turns = await client.read(client.api.tasks[":id"].snapshots.$get({ param: { id } }));
  const last = turns.at(-1)?.turn;
  if (last !== undefined) return last;
  throw new CcwError(
    "not_found",
    "The task has no snapshots yet: one is made after each turn.",
    "`ccw-server task diff TASK` shows what it has pushed.",
  );
}

interface PatchOptions {
  turn?: number;
  from?: number;
  repo?: string;
  output?: string;
}

interface ArchiveOptions {
  turn?: number;
  repo?: string;
  output: string;
  format?: "tar.gz" | "zip";
}

interface ForkOptions {
  file?: string;
  model?: string;
}
