import type { Cli } from "./cli.ts";
import { jsonText, table } from "./output.ts";

export function addRepositoryCommands(cli: Cli): void {
  const { program, io } = cli;
  const repo = program.command("repo").description("repositories that the appliance hosts");

  repo
    .command("add")
    .description("make an empty repository; its URL is printed")
    .argument("<name>", "`name` or `owner/name`")
    .option("-b, --branch <branch>", "its default branch", "main")
    .addHelpText("after", "\nExample:\n  git remote add ccw $(ccw-server repo add demo) && git push ccw main")
    .action(async (name: string, { branch }: { branch: string }) => {
      const client = await cli.connect();
      const made = await client.read(
        client.api.repositories.$post({ json: { name, defaultBranch: branch } }),
      );
      await io.out.write(cli.globals().json ? jsonText(made, 2) : `${made.url}\n`);
      await io.err.write(
        `Push a first commit to it. git asks for a password: that is a token (ccw-server token add NAME).\n`,
      );
    });

  repo
    .command("list")
    .alias("ls")
    .description("the repositories")
    .action(async () => {
      const client = await cli.connect();
      const rows = await client.read(client.api.repositories.$get());
      if (cli.globals().json) return io.out.write(jsonText(rows, 2));
      if (rows.length === 0) return io.err.write("There are no repositories yet: ccw-server repo add NAME\n");
      const cells = rows.map(({ name, defaultBranch, url }) => [name, defaultBranch, url]);
      return io.out.write(table(["NAME", "BRANCH", "URL"], cells, { width: undefined }));
    });
}
