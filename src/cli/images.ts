import { ageText, bytesText } from "../domain/amounts.ts";
import { plainText } from "../domain/plain-text.ts";
import type { Cli } from "./cli.ts";
import { defaultDataFolder } from "./data-folder.ts";
import { jsonText, table } from "./output.ts";

/** These work on the container engine of this machine; no server need run. */
export function addImageCommands(cli: Cli): void {
  const { program, io, wiring } = cli;
  const images = () => wiring.images(cli.globals().data ?? defaultDataFolder(io.env));
  const image = program.command("image").description("images that sandboxes start from");

  image
    .command("build")
    .description("build a built-in image")
    .argument("[recipe]", "which one", "slim")
    .option("--force", "build it again, though it is there")
    .option("--if-missing", "say nothing where it is there")
    .action(async (name: string, options: { force?: boolean; ifMissing?: boolean }) => {
      const made = await images().build(name, {
        force: options.force === true,
        onProgress: (line) => void io.err.write(`${plainText(line)}\n`),
      });
      if (!made.built && options.ifMissing !== true) {
        await io.err.write("The image is there already; --force builds it again.\n");
      }
      await io.out.write(cli.globals().json ? jsonText(made, 2) : `${made.reference}\n`);
    });

  image
    .command("list")
    .alias("ls")
    .description("the built-in images, and which of them are built")
    .action(async () => {
      const rows = await images().list();
      if (cli.globals().json) return io.out.write(jsonText(rows, 2));
      const now = Date.now();
      const cells = rows.map(({ name, reference, present, bytes, createdAt }) => [
        name,
        reference,
        present ? "yes" : "no",
        bytes === undefined ? "" : bytesText(bytes),
        createdAt === undefined ? "" : ageText(now - createdAt),
      ]);
      const head = ["NAME", "REFERENCE", "BUILT", "SIZE", "AGE"];
      return io.out.write(table(head, cells, { width: io.out.columns, shrink: "REFERENCE" }));
    });

  image
    .command("import")
    .description("load images from a file that `podman save` or `docker save` wrote")
    .argument("<file>", "tar archive")
    .action(async (file: string) => {
      const names = await images().import(file);
      await io.out.write(cli.globals().json ? jsonText(names, 2) : names.map((name) => `${name}\n`).join(""));
    });
}
