import { ageText } from "../domain/amounts.ts";
import type { Cli } from "./cli.ts";
import { jsonText, table } from "./output.ts";

export function addTokenCommands(cli: Cli): void {
  const { program, io } = cli;

  program
    .command("link")
    .description("make a sign-in link for a browser; it works once, for 15 minutes")
    .option("--person <name>", "whom it signs in; yourself where it is left out")
    .action(async (who: { person?: string }) => {
      const client = await cli.connect();
      const made = await client.read(client.api.links.$post({ json: who }));
      await io.out.write(cli.globals().json ? jsonText(made, 2) : `${made.url}\n`);
    });

  program
    .command("me")
    .description("who you are here, and the address that stands in the commits of your tasks")
    .option("--email <address>", "set it; empty for none")
    .action(async ({ email }: { email?: string }) => {
      const client = await cli.connect();
      const me = await client.read(
        email === undefined ? client.api.me.$get() : client.api.me.$put({ json: { email } }),
      );
      if (cli.globals().json) return io.out.write(jsonText(me, 2));
      return io.out.write(`${me.name}\n  commits  ${me.email === "" ? "no address set" : me.email}\n`);
    });

  const token = program.command("token").description("tokens for scripts, git and other machines");

  token
    .command("add")
    .description("make a token; it is printed this once")
    .argument("<name>", "what it is for")
    .option("--person <name>", "whose token it is; yours where it is left out")
    .addHelpText(
      "after",
      "\nExample:\n  export CCW_URL=http://box:7080 CCW_TOKEN=$(ccw-server token add laptop --person ada)",
    )
    .action(async (name: string, who: { person?: string }) => {
      const client = await cli.connect();
      const made = await client.read(client.api.tokens.$post({ json: { name, ...who } }));
      await io.out.write(cli.globals().json ? jsonText(made, 2) : `${made.secret}\n`);
    });

  token
    .command("list")
    .alias("ls")
    .description("tokens in force, without their secrets")
    .action(async () => {
      const client = await cli.connect();
      const rows = await client.read(client.api.tokens.$get());
      if (cli.globals().json) return io.out.write(jsonText(rows, 2));
      const now = Date.now();
      const cells = rows.map(({ id, kind, name, person, createdAt, expiresAt }) => [
        id,
        kind,
        name,
        person,
        ageText(now - createdAt),
        expiresAt === undefined ? "never" : `in ${ageText(expiresAt - now)}`,
      ]);
      const head = ["ID", "KIND", "NAME", "PERSON", "AGE", "EXPIRES"];
      return io.out.write(table(head, cells, { width: io.out.columns, shrink: "NAME" }));
    });

  token
    .command("revoke")
    .description("make a token void")
    .argument("<id>", "as `token list` shows it")
    .action(async (id: string) => {
      const client = await cli.connect();
      await client.read(client.api.tokens[":id"].$delete({ param: { id } }));
      await io.err.write("Revoked.\n");
    });
}
