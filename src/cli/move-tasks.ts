import type { Command } from "commander";
import { CcwError } from "../domain/errors.ts";
import type { Cli } from "./cli.ts";
import { jsonText } from "./output.ts";
import { readPrompt } from "./prompt-text.ts";
import { findTaskId } from "./task-id.ts";

/** From the appliance to a machine of one's own, and back. */
export function addMoveCommands(cli: Cli, task: Command, idHelp: string): void {
  const { io } = cli;
  const say = (text: string) => io.err.write(`${text}\n`);

  task
    .command("teleport")
    .description("print a command that goes on with a task in a checkout, in the local agent CLI")
    .argument("<task>", idHelp)
    .addHelpText(
      "after",
      `
The command is good for 10 minutes, on any machine that reaches the appliance. It stashes local changes, checks the task's
branch out, lays over it what is uncommitted, and installs the conversation. Should anything fail, all is as it was.

Example:
  cd ~/code/widget && eval "$(ccw-server task teleport last)"`,
    )
    .action(async (text: string) => {
      const client = await cli.connect();
      const param = { id: await findTaskId(client, text) };
      const made = await client.read(client.api.tasks[":id"].teleport.$post({ param }));
      if (cli.globals().json) return io.out.write(jsonText(made, 2));
      await say("Paste this in a checkout of the repository, within 10 minutes:");
      return io.out.write(`${made.command}\n`);
    });

  task
    .command("handover")
    .description(
      "hand the agent's conversation in this folder over, with its files: a new task goes on with it",
    )
    .argument("[prompt...]", "what is to be done next; “Go on.” where it is left out")
    .option(
      "-r, --repo <name>",
      "the appliance's repository; found by the checkout's remotes where it is left out",
    )
    .option("--session <id>", "the conversation; the newest of this folder where it is left out")
    .option("--no-session", "the files alone")
    .option("-e, --env <environment>", "environment", "default")
    .option("-m, --model <model>", "model, as the agent names it")
    .option("-f, --file <file>", "read the prompt from a file; - is standard input")
    .option("--print", "print a command for another machine instead")
    .addHelpText(
      "after",
      `
Uncommitted and untracked files go along, ignored ones do not; commits that the repository lacks are sent, too. Nothing of
the checkout changes.

Example:
  ccw-server task handover "Go on, and add a test for it"`,
    )
    .action(async (words: string[], options: HandoverOptions) => {
      const given = words.length > 0 || options.file !== undefined;
      const prompt = given ? await readPrompt({ words, file: options.file }, io) : "";
      const client = await cli.connect();
      const json = { environment: options.env, ...(options.model !== undefined && { model: options.model }) };
      const made = await client.read(client.api.handovers.$post({ json }));
      if (options.print === true)
        return io.out.write(cli.globals().json ? jsonText(made, 2) : `${made.command}\n`);
      const response = await fetch(made.url);
      if (!response.ok)
        throw new CcwError("unavailable", `${made.url} answered with status ${response.status}.`);
      const argv = [
        ...(options.repo === undefined ? [] : ["--repo", options.repo]),
        ...(options.session === false ? ["--no-session"] : []),
        ...(typeof options.session === "string" ? ["--session", options.session] : []),
        ...["--", prompt],
      ];
      const child = Bun.spawn(["sh", "-s", "--", ...argv], {
        stdin: new Blob([await response.text()]),
        stdout: "pipe",
        stderr: "pipe",
      });
      const pass = async (
        from: ReadableStream<Uint8Array>,
        to: { write(chunk: Uint8Array): Promise<void> },
      ) => {
        for await (const chunk of from) await to.write(chunk);
      };
      await Promise.all([pass(child.stdout, io.out), pass(child.stderr, io.err)]);
      cli.exitWith(await child.exited);
    });
}

interface HandoverOptions {
  repo?: string;
  session: string | boolean;
  env: string;
  model?: string;
  file?: string;
  print?: true;
}
