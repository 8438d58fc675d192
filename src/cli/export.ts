import { createWriteStream } from "node:fs";
import { rm } from "node:fs/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { type Command, Option } from "commander";
import { CcwError, messageOf } from "../domain/errors.ts";
import type { Cli } from "./cli.ts";
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
      if (output === "-") {
        for await (const chunk of bytes) await cli.io.out.write(chunk);
        return;
      }
      const file = output ?? `ccw-task-${shortId(id)}.${endings[format]}`;
      await save(bytes, file);
      await cli.io.err.write(`Written to ${file}.\n`);
    });
}

/** A file that is there stays as it is; of one that could not be written whole nothing is left. */
async function save(bytes: ReadableStream<Uint8Array>, file: string): Promise<void> {
  try {
    await pipeline(Readable.from(bytes), createWriteStream(file, { flags: "wx", mode: 0o600 }));
  } catch (thrown) {
    const exists = thrown instanceof Error && "code" in thrown && thrown.code === "EEXIST";
    if (exists) {
      throw new CcwError(
        "conflict",
        `There is a file ${file} already.`,
        "Name another one with -o, or remove it.",
      );
    }
    await rm(file, { force: true });
    throw new CcwError("unavailable", `${file} could not be written: ${messageOf(thrown)}.`);
  }
}
