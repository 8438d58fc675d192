import { Option } from "commander";
import { bytesText } from "../domain/amounts.ts";
import { CcwError } from "../domain/errors.ts";
import { type Cli, collect, wholeNumber } from "./cli.ts";
import { type EgressEdit, withEgressFlags, withEgressRemovals } from "./egress-flags.ts";
import { type EnvironmentFlags, editOf, inWordsOfFlags, withoutNull } from "./environment-flags.ts";
import { environmentFacts } from "./environment-show.ts";
import { facts, jsonText, table } from "./output.ts";

export function addEnvironmentCommands(cli: Cli): void {
  const { program, io } = cli;
  const env = program.command("env").description("environments: image, variables, set-up script, limits");

  withFlags(
    env
      .command("add")
      .description("add an environment")
      .argument("<name>", "lower-case letters, digits and hyphens"),
  )
    .addHelpText(
      "after",
      `
Examples:
  ccw-server env add node --vars-file .env --setup-file setup.sh --memory 8GiB
  ccw-server env add small --memory 1GiB --cpus 1 --minutes 30
  ccw-server env add web --access limited --allow 'api.example.com write' --deny-host '*.zip'`,
    )
    .action(async (name: string, flags: EnvironmentFlags) => {
      const { limits, variables, secrets, egress, ...rest } = await editOf(flags);
      const client = await cli.connect();
      const json = {
        ...rest,
        name,
        ...(limits !== undefined && { limits }),
        ...(egress !== undefined && { egress: wholeEgress(egress) }),
        variables: withoutNull(variables),
        secrets: withoutNull(secrets),
      };
      const made = await inWordsOfFlags(() => client.read(client.api.environments.$post({ json })));
      await (cli.globals().json ? io.out.write(jsonText(made, 2)) : io.err.write(`Added ${made.name}.\n`));
    });

  env
    .command("list")
    .alias("ls")
    .description("the environments")
    .action(async () => {
      const client = await cli.connect();
      const rows = await client.read(client.api.environments.$get());
      if (cli.globals().json) return io.out.write(jsonText(rows, 2));
      const cells = rows.map(({ name, image, access, variables, limits, setupScript }) => [
        name,
        image,
        access,
        String(variables.length),
        setupScript === "" ? "no" : "yes",
        bytesText(limits.memoryBytes),
        String(limits.cpus),
        String(limits.minutes),
      ]);
      const head = ["NAME", "IMAGE", "ACCESS", "VARIABLES", "SET-UP", "MEMORY", "CPUS", "MINUTES"];
      return io.out.write(table(head, cells, { width: io.out.columns, shrink: "IMAGE" }));
    });

  env
    .command("show")
    .description("one environment; of its variables the names alone")
    .argument("<environment>")
    .action(async (name: string) => {
      const client = await cli.connect();
      const shown = await client.read(client.api.environments[":name"].$get({ param: { name } }));
      if (cli.globals().json) return io.out.write(jsonText(shown, 2));
      return io.out.write(facts(environmentFacts(shown)));
    });

  env
    .command("groups")
    .description("the groups of the default list, which access level limited lets through, with their hosts")
    .action(async () => {
      const client = await cli.connect();
      const groups = await client.read(client.api.egress.groups.$get());
      if (cli.globals().json) return io.out.write(jsonText(groups, 2));
      const blocks = groups.map(({ name, hosts }) =>
        [
          name,
          ...hosts.map(({ host, inspected }) => `  ${host}${inspected ? "  (inspected, for reading)" : ""}`),
        ].join("\n"),
      );
      return io.out.write(`${blocks.join("\n\n")}\n`);
    });

  withFlags(
    withEgressRemovals(
      env
        .command("edit")
        .description("change an environment: by the options, or in $EDITOR where none is given")
        .argument("<environment>")
        .option("--unset <key>", "remove a variable; may be given several times", collect),
    ),
  )
    .addHelpText(
      "after",
      `
Tasks that were submitted before keep the environment as it was, but for access, egress, secrets and the limits of turns,
tokens and money, which change at once for every task in it.

Examples:
  ccw-server env edit node --var CI=1 --unset DEBUG
  ccw-server env edit node --access limited --allow 'internal.example port=8443' --groups-off 'Version Control'
  ccw-server env edit node --secrets-file - --credential 'api.example.com Authorization: Bearer \${API_KEY}' < secrets.env
  ccw-server env edit node`,
    )
    .action(async (name: string, flags: EnvironmentFlags) => {
      const edit = await editOf(flags);
      const client = await cli.connect();
      const param = { name };
      const save = (json: typeof edit) =>
        client.read(client.api.environments[":name"].$patch({ param, json }));
      let after: Awaited<ReturnType<typeof save>>;
      if (Object.keys(edit).length > 0) after = await inWordsOfFlags(() => save(edit));
      else {
        if (!io.in.isTty || !io.out.isTty)
          throw new CcwError("invalid", "Nothing is to be changed.", "Give an option; see --help.");
        const { editInEditor } = await import("./environment-editor.ts");
        const before = await client.read(client.api.environments[":name"].$get({ param }));
        const edited = await editInEditor(before, io.env);
        if (edited === undefined) return io.err.write("Nothing was changed.\n");
        // Its lists go over as a whole, so that lines are counted as they stand in the file.
        after = await save(edited);
      }
      return cli.globals().json ? io.out.write(jsonText(after, 2)) : io.err.write(`Changed ${after.name}.\n`);
    });
}

/** As in domain/environment.ts; written out, so that `--help` need not load the schemas. */
const accessLevels = ["none", "limited", "custom", "full"];

function withFlags(command: ReturnType<Cli["program"]["command"]>) {
  return withEgressFlags(command)
    .option("-i, --image <image>", "a built-in image, or one that the container engine holds")
    .option("--var <key=value>", "a variable; may be given several times", collect)
    .option("--vars-file <file>", "variables in .env format")
    .option("--setup-file <file>", "script that runs before the agent, as root")
    .option("--memory <size>", "such as 4GiB")
    .option("--cpus <number>", "processor cores, in fractions if need be", Number)
    .option("--pids <number>", "processes and threads at once", wholeNumber(1, 1_000_000))
    .option("--minutes <number>", "wall time of a task", wholeNumber(1, 10_080))
    .option(
      "--turns <number>",
      "turns of a task; 0 is no limit, as with the next two",
      wholeNumber(0, 1_000_000),
    )
    .option("--tokens <number>", "tokens of all kinds of a task", wholeNumber(0, 1e15))
    .option("--usd <amount>", "what a task may cost, in US dollars", Number)
    .addOption(new Option("--access <level>", "network access").choices(accessLevels));
}

/** A new environment has nothing that could be added to. */
function wholeEgress({ allow, deny, groupsOff, credentials, limits }: EgressEdit) {
  return {
    ...(allow !== undefined && { allow: whole(allow) }),
    ...(deny !== undefined && { deny: whole(deny) }),
    ...(groupsOff !== undefined && { groupsOff: whole(groupsOff) }),
    ...(credentials !== undefined && { credentials: whole(credentials) }),
    ...(limits !== undefined && { limits }),
  };
}

function whole<Value>(edit: Value[] | { add?: Value[] }): Value[] {
  return Array.isArray(edit) ? edit : (edit.add ?? []);
}
