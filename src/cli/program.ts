import { Command, CommanderError, Option } from "commander";
import type { Cli } from "./cli.ts";
import { addCompletionCommands } from "./completion.ts";
import { connect, findServer, type Whereabouts } from "./connect.ts";
import { addEgressCommands } from "./egress.ts";
import { addEnvironmentCommands } from "./environments.ts";
import { exitCodeHelp, exitCodes } from "./exit-codes.ts";
import { explain } from "./explain.ts";
import { addForgeCommands } from "./forges.ts";
import { addGitProxyCommand } from "./git-proxy.ts";
import { addGroupCommands } from "./groups.ts";
import { addImageCommands } from "./images.ts";
import { type CliIo, processIo } from "./io.ts";
import { addNotifyCommands } from "./notify.ts";
import { addPullRequestCommands } from "./pull-requests.ts";
import { addRepositoryCommands } from "./repositories.ts";
import { addScheduleCommands } from "./schedules.ts";
import { addSearchCommand } from "./search.ts";
import { addServerCommands } from "./server.ts";
import { addTaskCommands } from "./tasks.ts";
import { addTokenCommands } from "./tokens.ts";
import { addUsageCommand } from "./usage.ts";
import type { CliWiring } from "./wiring.ts";

/** Runs one command line (without the program's own name) and returns the exit code. Never throws. */
export async function runCli(
  argv: readonly string[],
  wiring: CliWiring,
  io: CliIo = processIo(),
): Promise<number> {
  let code: number = exitCodes.ok;
  try {
    await createProgram(wiring, io, (chosen) => {
      code = chosen;
    }).parseAsync(argv, { from: "user" });
    return code;
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    const { text, exitCode } = explain(thrown);
    await io.err.write(text);
    return exitCode;
  } finally {
    // Help and usage errors are written without waiting.
    await Promise.all([io.out.write(""), io.err.write("")]);
  }
}

/** The whole command line. `exitWith` is told an exit code other than 0; expected failures are thrown. */
export function createProgram(wiring: CliWiring, io: CliIo, exitWith: (code: number) => void): Command {
  const program = new Command("ccw-server")
    .description("Cloud coding agents on a machine of your own.")
    .version(wiring.version, "-V, --version", "print the version")
    .addOption(new Option("--data <dir>", "the server's data folder (CCW_DATA)").conflicts("url"))
    .option("--url <url>", "a server on another machine (CCW_URL; needs CCW_TOKEN)")
    .option("--json", "print JSON, for scripts")
    .configureHelp({ showGlobalOptions: true, sortSubcommands: false })
    .configureOutput({
      writeOut: (text) => void io.out.write(text),
      writeErr: (text) => void io.err.write(text),
    })
    .exitOverride();

  const cli: Cli = {
    program,
    wiring,
    io,
    globals: () => ({ json: false, ...program.opts<Whereabouts & { json?: boolean }>() }),
    address: () => findServer(cli.globals(), io.env),
    connect: async () => connect(await cli.address()),
    exitWith,
  };
  program.commandsGroup("Work:");
  addTaskCommands(cli);
  addSearchCommand(cli);
  addGroupCommands(cli);
  addScheduleCommands(cli);
  addPullRequestCommands(cli);
  addEgressCommands(cli);
  addUsageCommand(cli);
  program.commandsGroup("Set-up:");
  addForgeCommands(cli);
  addRepositoryCommands(cli);
  addEnvironmentCommands(cli);
  addImageCommands(cli);
  addNotifyCommands(cli);
  program.commandsGroup("Access:");
  addTokenCommands(cli);
  program.commandsGroup("Server:");
  addServerCommands(cli);
  addGitProxyCommand(cli);
  addCompletionCommands(cli);
  program.addHelpText(
    "after",
    `
Examples:
  ccw-server start                                     run the server
  ccw-server task create --repo demo "Fix the failing test" --follow
  ccw-server task list
  ccw-server tui                                       look on in the terminal

${exitCodeHelp}`,
  );
  hintAtUsage(program, "");
  return program;
}

/** What is used wrongly says how it is used. */
function hintAtUsage(command: Command, before: string): void {
  const name = `${before}${command.name()}`;
  command.showHelpAfterError(`hint: usage: ${name} ${command.usage()}; --help says more.`);
  for (const each of command.commands) hintAtUsage(each, `${name} `);
}
