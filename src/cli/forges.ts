import { Option } from "commander";
import { ageText } from "../domain/amounts.ts";
import { CcwError } from "../domain/errors.ts";
import { type ForgeCredential, type ForgeKind, forgeKinds } from "../domain/forge.ts";
import { plainLine } from "../domain/plain-text.ts";
import { type Cli, wholeNumber } from "./cli.ts";
import { jsonText, table } from "./output.ts";
import { readSecret } from "./secret-input.ts";

interface AddFlags {
  kind: ForgeKind;
  apiUrl?: string;
  tokenStdin?: boolean;
  tokenFile?: string;
  user?: string;
  appId?: number;
  keyFile?: string;
  app?: boolean;
  organization?: string;
  check: boolean;
}

export function addForgeCommands(cli: Cli): void {
  const { program, io } = cli;
  const forge = program.command("forge").description("forges: where repositories live that others host");

  forge
    .command("add")
    .description("connect a forge, or give one another credential")
    .argument("<name>", "what you call it: `github`, `work`")
    .argument("[address]", "where people find it; github.com and gitlab.com go without")
    .addOption(new Option("--kind <kind>", "what it is").choices(forgeKinds).makeOptionMandatory())
    .option("--api-url <url>", "where its API is, where that is unusual")
    .addOption(
      new Option("--token-stdin", "read a token from standard input").conflicts([
        "tokenFile",
        "appId",
        "app",
      ]),
    )
    .addOption(new Option("--token-file <file>", "read a token from a file").conflicts(["appId", "app"]))
    .option("--user <name>", "the token's user, for a plain git server or a deploy token")
    .addOption(
      new Option("--app-id <number>", "the id of a GitHub App; with --key-file")
        .argParser(wholeNumber(1, 1e15))
        .conflicts(["app"]),
    )
    .option("--key-file <file>", "the private key of a GitHub App, as GitHub gave it")
    .option("--app", "make a GitHub App: prints a page to open in a browser")
    .option("--organization <name>", "with --app: whose App it is to be; yours where left out")
    .option("--no-check", "keep the credential without trying it")
    .addHelpText(
      "after",
      `
Without a token or an App, only public repositories can be read. A token is never taken from the command line.

Examples:
  ccw-server forge add github --kind github --app
  ccw-server forge add github --kind github --token-file token.txt
  pass show gitlab | ccw-server forge add work https://git.example --kind gitlab --token-stdin
  ccw-server forge add old https://git.example:8443 --kind git --user ada --token-stdin`,
    )
    .action(async (name: string, address: string | undefined, flags: AddFlags) => {
      const url = address ?? usualUrls[flags.kind];
      if (url === undefined) {
        throw new CcwError(
          "invalid",
          `Where is the ${flags.kind === "git" ? "git server" : flags.kind}?`,
          `Say it behind the name: ccw-server forge add ${name} https://git.example --kind ${flags.kind}`,
        );
      }
      const place = { url, ...(flags.apiUrl !== undefined && { apiUrl: flags.apiUrl }) };
      if (flags.app === true) return makeApp(name, place, flags);
      const credential = await credentialOf(flags);
      const client = await cli.connect();
      const made = await client.read(
        client.api.forges.$post({
          json: { name, kind: flags.kind, ...place, credential, check: flags.check },
        }),
      );
      if (cli.globals().json) return io.out.write(jsonText(made, 2));
      await io.err.write(`Connected ${made.name}, ${plainLine(made.url)}.\n`);
      return sayCheck(made);
    });

  forge
    .command("list")
    .alias("ls")
    .description("the forges, without their credentials")
    .action(async () => {
      const client = await cli.connect();
      const rows = await client.read(client.api.forges.$get());
      if (cli.globals().json) return io.out.write(jsonText(rows, 2));
      if (rows.length === 0)
        return io.err.write("No forge is connected yet: ccw-server forge add NAME URL --kind KIND\n");
      const now = Date.now();
      const cells = rows.map(({ name, kind, url, credential, repositories, updatedAt }) => [
        ...[name, kind, url, credential, String(repositories), ageText(now - updatedAt)],
      ]);
      const head = ["NAME", "KIND", "URL", "CREDENTIAL", "REPOSITORIES", "SET"];
      return io.out.write(table(head, cells, { width: io.out.columns, shrink: "URL" }));
    });

  forge
    .command("test")
    .description("ask a forge who its credential is and what it may do")
    .argument("<forge>")
    .action(async (name: string) => {
      const client = await cli.connect();
      const found = await client.read(client.api.forges[":name"].test.$post({ param: { name } }));
      return cli.globals().json ? io.out.write(jsonText(found, 2)) : sayCheck(found);
    });

  forge
    .command("webhook")
    .description("make a webhook's address and secret, for a forge that can reach this appliance")
    .argument("<forge>")
    .addHelpText(
      "after",
      `
Without one, pull requests are looked at every minute or more seldom; with one, a few seconds after something happened.
Put both into the forge's settings of a repository or an organization, with JSON as the content type, and choose what
happens to pull requests, comments, reviews, checks and statuses. A secret made before is void.`,
    )
    .action(async (name: string) => {
      const client = await cli.connect();
      const made = await client.read(client.api.forges[":name"].webhook.$post({ param: { name } }));
      return io.out.write(cli.globals().json ? jsonText(made, 2) : `${made.url}\n${made.secret}\n`);
    });

  forge
    .command("remove")
    .alias("rm")
    .description("forget a forge and its credential")
    .argument("<forge>")
    .action(async (name: string) => {
      const client = await cli.connect();
      await client.read(client.api.forges[":name"].$delete({ param: { name } }));
      await io.err.write(`Forgot ${plainLine(name)}.\n`);
    });

  async function sayCheck({ account, notes }: { account: string; notes: string[] }): Promise<void> {
    const who = account === "" ? [] : [`It knows the credential as ${account}.`];
    await io.err.write([...who, ...notes].map((line) => `${plainLine(line)}\n`).join(""));
  }

  async function makeApp(
    name: string,
    place: { url: string; apiUrl?: string },
    { kind, organization = "" }: AddFlags,
  ): Promise<void> {
    if (kind !== "github") throw new CcwError("invalid", "Only GitHub has Apps.", "Give a token.");
    const client = await cli.connect();
    const { page } = await client.read(
      client.api.forges[":name"].app.$post({ param: { name }, json: { ...place, organization } }),
    );
    if (cli.globals().json) return io.out.write(jsonText({ page }, 2));
    await io.out.write(`${page}\n`);
    await io.err.write(
      "Open this page within ten minutes, in a browser that is signed in here and at GitHub.\n",
    );
  }

  async function credentialOf(flags: AddFlags): Promise<ForgeCredential> {
    const { appId, keyFile, tokenFile, tokenStdin, user = "" } = flags;
    if (appId !== undefined || keyFile !== undefined) {
      if (appId === undefined || keyFile === undefined)
        throw new CcwError("invalid", "A GitHub App is given by --app-id and --key-file together.");
      return { kind: "app", appId, privateKey: await readSecret(keyFile, "many", io), slug: "" };
    }
    const file = tokenStdin === true ? "-" : tokenFile;
    if (file !== undefined)
      return { kind: "token", token: await readSecret(file, "one", io), username: user };
    if (user === "") return { kind: "none" };
    throw new CcwError(
      "invalid",
      "A user is given without a token or password.",
      "Pipe it in, with --token-stdin, or name a file by --token-file.",
    );
  }
}

const usualUrls: Partial<Record<ForgeKind, string>> = {
  github: "https://github.com",
  gitlab: "https://gitlab.com",
};
