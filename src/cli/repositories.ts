import { Option } from "commander";
import { CcwError } from "../domain/errors.ts";
import { plainLine } from "../domain/plain-text.ts";
import type { Cli } from "./cli.ts";
import { jsonText, table } from "./output.ts";

export function addRepositoryCommands(cli: Cli): void {
  const { program, io } = cli;
  const repo = program.command("repo").description("repositories: hosted by the appliance, or of a forge");

  repo
    .command("add")
    .description("make an empty repository on the appliance, or add one of a forge")
    .argument("<name>", "`name` for a new one; an address, or with --forge a path, for one of a forge")
    .option("-b, --branch <branch>", "its default branch; of one on a forge, as the forge says")
    .option("--forge <forge>", "the forge that it is on")
    .addHelpText(
      "after",
      `
Examples:
  git remote add ccw $(ccw-server repo add demo) && git push ccw main
  ccw-server repo add https://github.com/acme/widget
  ccw-server repo add --forge work acme/widget`,
    )
    .action(async (name: string, { branch, forge }: { branch?: string; forge?: string }) => {
      const client = await cli.connect();
      const on = branch === undefined ? {} : { defaultBranch: branch };
      const remote = forge !== undefined || isAddress(name);
      const json =
        forge !== undefined ? { forge, path: name, ...on } : remote ? { url: name, ...on } : { name, ...on };
      const made = await client.read(client.api.repositories.$post({ json }));
      await io.out.write(
        cli.globals().json ? jsonText(made, 2) : `${plainLine(remote ? made.name : made.url)}\n`,
      );
      await io.err.write(
        remote
          ? `Added, with default branch ${plainLine(made.defaultBranch)}. Give it work: ccw-server task create --repo ${plainLine(made.name)} "…"\n`
          : "Push a first commit to it. git asks for a password: that is a token (ccw-server token add NAME).\n",
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
      const cells = rows.map(({ name, kind, forge = "", defaultBranch, url }) => [
        ...[name, kind, forge, defaultBranch, url],
      ]);
      return io.out.write(table(["NAME", "KIND", "FORGE", "BRANCH", "URL"], cells, { width: undefined }));
    });

  repo
    .command("search")
    .description("what a forge has that its credential can reach")
    .requiredOption("--forge <forge>", "which one")
    .argument("[text]", "a part of the name; all where left out")
    .action(async (text: string | undefined, { forge }: { forge: string }) => {
      const client = await cli.connect();
      const query = text === undefined ? {} : { search: text };
      const found = await client.read(
        client.api.forges[":name"].repositories.$get({ param: { name: forge }, query }),
      );
      if (cli.globals().json) return io.out.write(jsonText(found, 2));
      if (found.items.length === 0) return io.err.write("The forge shows none that fits.\n");
      const cells = found.items.map((each) => [
        ...[each.path, each.defaultBranch, each.private ? "private" : "public"],
        ...[each.archived ? "archived" : each.writable ? "write" : "read", each.added ? "yes" : "no"],
      ]);
      await io.out.write(table(["PATH", "BRANCH", "SEEN BY", "MAY", "ADDED"], cells, { width: undefined }));
      if (found.next !== undefined) await io.err.write("There are more: search for a part of the name.\n");
      return undefined;
    });

  repo
    .command("branches")
    .description("a repository's branches, as they are now")
    .argument("<repo>")
    .argument("[text]", "a part of the name")
    .action(async (name: string, text = "") => {
      const client = await cli.connect();
      const names = await client.read(
        client.api.branches.$get({ query: { repository: name, search: text } }),
      );
      return io.out.write(
        cli.globals().json ? jsonText(names, 2) : names.map((each) => `${plainLine(each)}\n`).join(""),
      );
    });

  repo
    .command("sync")
    .description("bring what the appliance has of a repository up to date; tasks do that by themselves")
    .argument("<repo>")
    .action(async (name: string) => {
      const client = await cli.connect();
      const synced = await client.read(client.api.repositories.sync.$post({ json: { repository: name } }));
      if (cli.globals().json) return io.out.write(jsonText(synced, 2));
      return io.err.write(
        `${plainLine(synced.name)} is up to date; its default branch is ${plainLine(synced.defaultBranch)}.\n`,
      );
    });

  repo
    .command("edit")
    .description("say what tasks may do to their own branches there; in force at once")
    .argument("<repo>")
    .addOption(new Option("--force <may>", "rewrite them by force-pushes").choices(["yes", "no"]))
    .addOption(new Option("--delete <may>", "delete them").choices(["yes", "no"]))
    .action(async (name: string, options: { force?: "yes" | "no"; delete?: "yes" | "no" }) => {
      const client = await cli.connect();
      const push = {
        ...(options.force !== undefined && { force: options.force === "yes" }),
        ...(options.delete !== undefined && { delete: options.delete === "yes" }),
      };
      const edited = await client.read(client.api.repositories.$patch({ json: { repository: name, push } }));
      if (cli.globals().json) return io.out.write(jsonText(edited, 2));
      const may = [edited.push.force && "rewrite", edited.push.delete && "delete"]
        .filter(Boolean)
        .join(" and ");
      return io.err.write(
        `Tasks may make their own branches in ${plainLine(edited.name)} and move them forward${may === "" ? "" : `, and ${may} them`}.\n`,
      );
    });

  repo
    .command("remove")
    .alias("rm")
    .description("forget a repository of a forge; nothing changes there")
    .argument("<repo>")
    .action(async (name: string) => {
      const client = await cli.connect();
      await client.read(client.api.repositories.$delete({ query: { repository: name } }));
      await io.err.write(`Forgot ${plainLine(name)}.\n`);
    });
}

/** Whether somebody means a repository that lives elsewhere already. Throws `invalid` for an address of ssh. */
function isAddress(text: string): boolean {
  if (/^(ssh:\/\/|[^/\s]+@[^/\s]+:)/.test(text)) {
    throw new CcwError(
      "invalid",
      "Repositories are reached by https, not by ssh.",
      "Give its https address, as in https://github.com/owner/name.",
    );
  }
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(text);
}
