import { CcwError } from "../domain/errors.ts";
import { plainText } from "../domain/plain-text.ts";
import { type Cli, wholeNumber } from "./cli.ts";
import { defaultDataFolder } from "./data-folder.ts";
import { exitCodes } from "./exit-codes.ts";
import { wantsColour } from "./io.ts";
import { facts, jsonText, paint } from "./output.ts";
import type { DoctorCheck } from "./wiring.ts";

export function addServerCommands(cli: Cli): void {
  const { program, io, wiring } = cli;
  const dataFolder = () => cli.globals().data ?? defaultDataFolder(io.env);

  program
    .command("start")
    .description("run the server until it is told to end")
    .option("-p, --port <number>", "port for people (default: 7080)", wholeNumber(0, 65_535))
    .option("--host <address>", "address to listen at; loopback alone where it is left out")
    .option("--config <file>", "settings, in the place of ccw.toml in the data folder")
    .option("--demo", "use the built-in demo model, whatever else is set")
    .addHelpText(
      "after",
      `
Examples:
  ccw-server start
  ccw-server start --data ~/ccw --port 8080 --host 0.0.0.0`,
    )
    .action(async (options: { port?: number; host?: string; config?: string; demo?: boolean }) => {
      cli.exitWith(await wiring.start({ ...options, data: dataFolder(), demo: options.demo === true }));
    });

  program
    .command("status")
    .description("the server at a glance")
    .action(async () => {
      const client = await cli.connect();
      const status = await client.read(client.api.status.$get());
      if (cli.globals().json) return io.out.write(jsonText(status, 2));
      const { model, engine } = status;
      const models = {
        demo: "DEMO: scripted answers, no real model",
        endpoint: model.baseUrl,
      };
      return io.out.write(
        facts([
          ["Server", `ccw-server ${status.version} at ${status.publicUrl}`],
          ["Agents", status.agents.map(({ name, title }) => `${name} (${title})`).join(", ")],
          ["Engine", engine.ok ? engine.text : `NOT READY: ${engine.text}`],
          ["Model", `${models[model.kind]} (${model.source})`],
          ["Tasks", `${status.active} of at most ${status.parallel} run, ${status.queued} wait`],
          ["You", status.person],
        ]),
      );
    });

  program
    .command("tui")
    .description("look on in the terminal: tasks, live, and what to do with them")
    .action(async () => {
      if (!io.in.isTty || !io.out.isTty) {
        throw new CcwError(
          "invalid",
          "The terminal view needs a terminal.",
          "In a script use `task list --json`.",
        );
      }
      const { url } = await cli.address();
      const client = await cli.connect();
      // Whoever is refused learns it before the screen is taken.
      await client.read(client.api.status.$get());
      cli.exitWith(await wiring.tui({ client, url }));
    });

  program
    .command("doctor")
    .description("look whether this machine has what the server needs, and say how to mend it")
    .action(async () => {
      const checks = await wiring.doctor({ data: dataFolder() });
      if (checks.some(({ status }) => status === "failed")) cli.exitWith(exitCodes.failed);
      if (cli.globals().json) return io.out.write(jsonText(checks, 2));
      const colour = wantsColour(io);
      return io.out.write(checks.map((check) => checkText(check, colour)).join(""));
    });

  program
    .command("version")
    .description("print the version")
    .action(async () => {
      const { version } = wiring;
      await io.out.write(cli.globals().json ? jsonText({ version }, 2) : `${version}\n`);
    });

  program
    .command("guest", { hidden: true })
    .description("the first process of a sandbox; of no use outside of one")
    .action(async () => cli.exitWith(await wiring.guest()));
}

const marks = {
  ok: { tone: "good", text: "ok     " },
  warning: { tone: "warning", text: "warning" },
  failed: { tone: "bad", text: "FAILED " },
} as const;

function checkText({ name, status, text, hint }: DoctorCheck, colour: boolean): string {
  const indent = `\n${" ".repeat(9)}`;
  const words = [`${name}: ${text}`, ...(hint === "" ? [] : [`→ ${hint}`])];
  return `${paint(marks[status], colour)}  ${plainText(words.join("\n")).replaceAll("\n", indent)}\n`;
}
