import { type Command, InvalidArgumentError, Option } from "commander";
import type { Client } from "../client.ts";
import { countText, usdText } from "../domain/amounts.ts";
import { costText, type UsageRow, usageCsv } from "../domain/usage-report.ts";
import { type Cli, wholeNumber } from "./cli.ts";
import { facts, jsonText, table } from "./output.ts";
import { findTaskId, shortId } from "./task-id.ts";

/** As in domain/store/usage.ts; written out, so that `--help` need not load the schemas. */
const bys = ["day", "task", "person", "environment", "model"] as const;
type By = (typeof bys)[number];

export function addUsageCommand(cli: Cli): void {
  const { program, io } = cli;
  program
    .command("usage")
    .description("tokens and cost of all tasks, summed up")
    .addOption(new Option("--by <what>", "what to sum up by").choices(bys).default("day"))
    .option("--from <day>", "from this day on, such as 2026-11-01", dayText)
    .option("--to <day>", "up to this day, which is included", dayText)
    .option("-n, --limit <number>", "how many rows", wholeNumber(1, 100_000), 1000)
    .option("--csv", "print CSV, with all kinds of tokens and the exact cost")
    .addHelpText(
      "after",
      `
Days are those of the time zone that the server is set to, UTC unless [usage] time_zone in ccw.toml says otherwise. Cost is
by the prices of when a request was made; a request to a model without a price is counted and not priced.

Examples:
  ccw-server usage --from 2026-11-01
  ccw-server usage --by person --csv > november.csv`,
    )
    .action(async (options: { by: By; from?: string; to?: string; limit: number; csv?: boolean }) => {
      const { by, from, to, limit, csv = false } = options;
      const client = await cli.connect();
      const days = { ...(from !== undefined && { from }), ...(to !== undefined && { to }) };
      const usage = await client.read(
        client.api.usage.$get({ query: { by, limit: String(limit), ...days } }),
      );
      if (csv) return io.out.write(usageCsv(by, usage.rows));
      if (cli.globals().json) return io.out.write(jsonText(usage, 2));
      const cells = (key: string, row: Omit<UsageRow, "key" | "name">) => [
        key,
        countText(row.requests),
        countText(row.inputTokens),
        countText(row.outputTokens),
        countText(row.cacheReadTokens),
        countText(row.cacheWrite5mTokens + row.cacheWrite1hTokens),
        costText(row.costUsd, row.unpricedRequests),
      ];
      const keyOf = ({ key, name }: UsageRow) => {
        if (by === "task") return `${shortId(key)} ${name}`;
        return by === "person" ? name || key : key || "?";
      };
      const head = [by.toUpperCase(), "REQUESTS", "IN", "OUT", "CACHE READ", "CACHE WRITE", "COST"];
      const rows = usage.rows.map((row) => cells(keyOf(row), row));
      return io.out.write(
        table(head, [...rows, cells("total", usage.total)], {
          width: io.out.columns,
          shrink: by.toUpperCase(),
        }),
      );
    });
}

/** `env`: as the environment says. */
type Limit = number | "env";

interface BudgetFlags {
  usd?: Limit;
  tokens?: Limit;
  turns?: Limit;
}

export function addBudgetCommand(cli: Cli, task: Command, idHelp: string): void {
  const { io } = cli;
  task
    .command("budget")
    .description("what a task used, turn by turn, and what it may use; with options, set that")
    .argument("<task>", idHelp)
    .option(
      "--usd <amount>",
      "US dollars in all; 0 is no limit, `env` what the environment says",
      limit(/^\d+(\.\d+)?$/),
    )
    .option("--tokens <number>", "tokens of all kinds in all; 0 and `env` likewise", limit(/^\d{1,15}$/))
    .option("--turns <number>", "turns in all; 0 and `env` likewise", limit(/^\d{1,7}$/))
    .addHelpText(
      "after",
      `
A task that reached its budget is told to come to an end and then paused. Raise the budget and let it go on:
  ccw-server task budget last --usd 20
  ccw-server task resume last`,
    )
    .action(async (text: string, flags: BudgetFlags) => {
      const client = await cli.connect();
      const param = { id: await findTaskId(client, text) };
      if (Object.keys(flags).length > 0) {
        const wanted = (value: Limit | undefined) => (value === "env" ? null : value);
        const json = {
          usd: wanted(flags.usd),
          tokens: wanted(flags.tokens),
          turns: wanted(flags.turns),
        };
        await client.read(client.api.tasks[":id"].budget.$put({ param, json }));
      }
      const usage = await client.read(client.api.tasks[":id"].usage.$get({ param }));
      if (cli.globals().json) return io.out.write(jsonText(usage, 2));
      return io.out.write(usageFacts(usage));
    });
}

type TaskUsage = Awaited<ReturnType<typeof readTaskUsage>>;

function usageFacts({ total, turns, models, budget }: TaskUsage): string {
  const used = (row: Omit<UsageRow, "key" | "name">) => {
    const cached = row.cacheReadTokens + row.cacheWrite5mTokens + row.cacheWrite1hTokens;
    return `${countText(row.inputTokens)} in, ${countText(row.outputTokens)} out, ${countText(cached)} cached, ${costText(row.costUsd, row.unpricedRequests)}`;
  };
  const own = (name: TaskUsage["budget"]["own"][number]) =>
    budget.own.includes(name) ? "" : " (by its environment)";
  const limits = [
    budget.usd === 0 ? "" : `${usdText(budget.usd * 1e9)}${own("usd")}`,
    budget.tokens === 0 ? "" : `${countText(budget.tokens)} tokens${own("tokens")}`,
    budget.turns === 0 ? "" : `${budget.turns} turns${own("turns")}`,
  ].filter(Boolean);
  let turn = 0;
  return facts([
    ["Used", used(total)],
    ["Budget", limits.length === 0 ? "none" : limits.join(", ")],
    ...models.map((row) => [`Model ${row.key}`, used(row)] as const),
    ...turns.map((row) => {
      if (row.promptId !== undefined) turn += 1;
      return [row.promptId === undefined ? "Outside of turns" : `Turn ${turn}`, used(row)] as const;
    }),
  ]);
}

function readTaskUsage(client: Client) {
  return client.read(client.api.tasks[":id"].usage.$get({ param: { id: "" } }));
}

function limit(pattern: RegExp): (text: string) => Limit {
  return (text) => {
    if (text === "env") return text;
    if (!pattern.test(text))
      throw new InvalidArgumentError("It takes a number, or `env` for what the environment says.");
    return Number(text);
  };
}

function dayText(text: string): string {
  if (/^\d{4}-\d{2}-\d{2}$/.test(text)) return text;
  throw new InvalidArgumentError("A day is written like 2026-11-21.");
}
