import type { Argument, Command, Option } from "commander";
import type { Client } from "../client.ts";
import { plainLine } from "../domain/plain-text.ts";
import type { Cli } from "./cli.ts";
import { completionScript, shells } from "./completion-scripts.ts";
import { connect, findServer, type Whereabouts } from "./connect.ts";

/** Longer than this nobody waits for a list. */
const patienceMs = 1500;

export function addCompletionCommands(cli: Cli): void {
  const { program, io } = cli;
  const completion = program
    .command("completion")
    .description("print a script that completes commands, options, tasks and names in a shell");
  completion.addHelpText(
    "after",
    `
Examples:
  source <(ccw-server completion bash)                         # in ~/.bashrc
  source <(ccw-server completion zsh)                          # in ~/.zshrc
  ccw-server completion fish > ~/.config/fish/completions/ccw-server.fish`,
  );
  for (const shell of shells) {
    completion
      .command(shell)
      .description(`for ${shell}`)
      .action(() => io.out.write(completionScript(shell, program.name())));
  }

  program
    .command("__complete", { hidden: true })
    .argument("[words...]")
    .action(async (words: string[]) => {
      const found = completionAt(program, words);
      const candidates = [...found.candidates, ...(await named(found.wanted, found.where, cli))];
      const current = words.at(-1) ?? "";
      await io.out.write(
        candidates
          .filter(({ value }) => value.startsWith(current))
          .map(({ value, about }) => `${value}${about === "" ? "" : `\t${plainLine(about)}`}\n`)
          .join(""),
      );
    });
}

interface Candidate {
  value: string;
  about: string;
}

interface Completion {
  candidates: Candidate[];
  /** The name of the argument or option that is to be filled, where only the server knows its values. */
  wanted: string;
  where: Whereabouts;
}

/** What may stand in the place of the last of these words (behind the program's own name). */
export function completionAt(program: Command, words: readonly string[]): Completion {
  const before = words.slice(0, -1);
  const current = words.at(-1) ?? "";
  const where: Whereabouts = {};
  let command = program;
  let filled = 0;
  let pending: Option | undefined;
  for (const word of before) {
    if (pending !== undefined) {
      if (pending.long === "--data") where.data = word;
      if (pending.long === "--url") where.url = word;
      pending = undefined;
    } else if (word.startsWith("-") && word !== "-") {
      pending = optionsOf(command).find(
        (option) => (option.long === word || option.short === word) && option.required,
      );
    } else {
      const next = command.commands.find((each) => each.name() === word || each.aliases().includes(word));
      if (next === undefined) filled += 1;
      else command = next;
    }
  }
  if (pending !== undefined) return { ...valuesOf(pending), where };
  if (current.startsWith("-")) {
    const candidates = optionsOf(command).map(({ long, short, description }) => ({
      value: long ?? short ?? "",
      about: description,
    }));
    return { candidates, wanted: "", where };
  }
  const visible = command.createHelp().visibleCommands(command);
  if (visible.length > 0) {
    const candidates = visible.map((each) => ({ value: each.name(), about: each.description() }));
    return { candidates, wanted: "", where };
  }
  const takes = command.registeredArguments;
  const argument: Argument | undefined =
    takes[filled] ?? (takes.at(-1)?.variadic === true ? takes.at(-1) : undefined);
  return argument === undefined ? { candidates: [], wanted: "", where } : { ...valuesOf(argument), where };
}

function valuesOf(taker: Option | Argument): Pick<Completion, "candidates" | "wanted"> {
  const candidates = (taker.argChoices ?? []).map((value) => ({ value, about: "" }));
  return { candidates, wanted: taker.name() };
}

function optionsOf(command: Command): Option[] {
  const help = command.createHelp();
  help.showGlobalOptions = true;
  return [...help.visibleOptions(command), ...help.visibleGlobalOptions(command)];
}

/** Names that the server knows; none where it does not answer in time, since a completion says nothing. */
async function named(wanted: string, where: Whereabouts, { io }: Cli): Promise<Candidate[]> {
  const ask = sources[wanted];
  if (ask === undefined) return [];
  const late = new Promise<Candidate[]>((resolve) => setTimeout(() => resolve([]), patienceMs).unref());
  try {
    return await Promise.race([ask(await connect(await findServer(where, io.env))), late]);
  } catch {
    return [];
  }
}

/** By the name of the argument or option that they fill. */
const sources: Record<string, (client: Client) => Promise<Candidate[]>> = {
  async task(client) {
    const tasks = await client.read(client.api.tasks.$get({ query: { limit: "50" } }));
    return [
      { value: "last", about: "the newest task" },
      ...tasks.map(({ id, state, title }) => ({ value: id.slice(-6), about: `${state}: ${title}` })),
    ];
  },
  async environment(client) {
    const rows = await client.read(client.api.environments.$get());
    return rows.map(({ name, image }) => ({ value: name, about: image }));
  },
  env: (client) => sources["environment"]?.(client) ?? Promise.resolve([]),
  async request(client) {
    const rows = await client.read(client.api["access-requests"].$get({ query: { state: "pending" } }));
    return rows.map(({ id, host, port, taskTitle }) => ({
      value: String(id),
      about: `${host}:${port}, ${taskTitle}`,
    }));
  },
  async group(client) {
    const rows = await client.read(client.api.egress.groups.$get());
    return rows.map(({ name, hosts }) => ({ value: name, about: `${hosts.length} hosts` }));
  },
  "groups-off": (client) => sources["group"]?.(client) ?? Promise.resolve([]),
  "groups-on": (client) => sources["group"]?.(client) ?? Promise.resolve([]),
  async forge(client) {
    const rows = await client.read(client.api.forges.$get());
    return rows.map(({ name, url }) => ({ value: name, about: url }));
  },
  async schedule(client) {
    const rows = await client.read(client.api.schedules.$get());
    return rows.map(({ name, task }) => ({ value: name, about: task.prompt.slice(0, 100) }));
  },
  async repo(client) {
    const rows = await client.read(client.api.repositories.$get());
    return rows.map(({ name, defaultBranch }) => ({ value: name, about: defaultBranch }));
  },
};
