import { type Command, Option } from "commander";
import type { Cli } from "./cli.ts";
import { saveFile } from "./save-file.ts";
import { findTaskId, shortId } from "./task-id.ts";

const endings = { json: "tar.gz", markdown: "md", html: "html" } as const;
type Format = keyof typeof endings;

export function addExportCommand(cli: Cli, task: Command): void {
  task
    .command("export")
    .description("a task as one file: transcript, prompts, diffs and usage as an archive, or as text to read")
    .argument("<task>", "id, beginning or end of one, or `last`")
    .option("-o, --output <file>", "write it there; - is standard output")
    .addOption(
      new Option("--format <format>", "json is an archive (.tar.gz) for programs")
        .choices(Object.keys(endings))
        .default("json"),
    )
    .addHelpText(
      "after",
      "\nExamples:\n  ccw-server task export last\n  ccw-server task export 4x7k2m --format html -o task.html",
    )
    .action(async (text: string, { output, format }: { output?: string; format: Format }) => {
      const client = await cli.connect();
      const id = await findTaskId(client, text);
      const bytes = await client.download(
        client.api.tasks[":id"].export.$get({ param: { id }, query: { format } }),
      );
      await saveFile(cli, bytes, output ?? `ccw-task-${shortId(id)}.${endings[format]}`);
    });
}
