import { Option } from "commander";
import { ageText, bytesText, countText } from "../domain/amounts.ts";
import { CcwError } from "../domain/errors.ts";
import type { Cli } from "./cli.ts";
import { wholeNumber } from "./cli.ts";
import { followLedger } from "./egress-tail.ts";
import { type EgressRow, entryCells, entryHead, entryLine } from "./egress-text.ts";
import { exitCodes } from "./exit-codes.ts";
import { wantsColour } from "./io.ts";
import { facts, jsonText, paint, table } from "./output.ts";
import { findTaskId, shortId } from "./task-id.ts";

/** As in domain/egress.ts and domain/access-request.ts; written out, so that `--help` need not load the schemas. */
const verdicts = ["allowed", "refused", "cut", "failed"] as const;
const states = ["pending", "granted", "granted-once", "used", "denied", "expired"] as const;

interface Filter {
  task?: string;
  host?: string;
  verdict?: (typeof verdicts)[number];
  since?: number;
  limit: number;
}

const page = 1000;

export function addEgressCommands(cli: Cli): void {
  const { program, io } = cli;
  const egress = program
    .command("egress")
    .description("what sandboxes send to the internet: the ledger, and who may go where");

  const filterOf = async ({ task, host, verdict, since }: Omit<Filter, "limit">) => {
    const client = await cli.connect();
    const query = {
      ...(task !== undefined && { task: await findTaskId(client, task) }),
      ...(host !== undefined && { host }),
      ...(verdict !== undefined && { verdict }),
      ...(since !== undefined && { since: String(Date.now() - since) }),
    };
    return { client, query };
  };

  withFilters(egress.command("list").alias("ls"))
    .description("the ledger, newest first")
    .option("-n, --limit <number>", "how many", wholeNumber(1, page), 50)
    .option("--before <id>", "entries before this one, for the next page", wholeNumber(1, 1e15))
    .action(async (options: Filter & { before?: number }) => {
      const { client, query } = await filterOf(options);
      const before = options.before === undefined ? {} : { before: String(options.before) };
      const rows = await client.read(
        client.api.egress.$get({ query: { ...query, ...before, limit: String(options.limit) } }),
      );
      if (cli.globals().json) return io.out.write(jsonText(rows, 2));
      return io.out.write(
        table(entryHead, rows.map(entryCells), { width: io.out.columns, shrink: "TARGET" }),
      );
    });

  withFilters(egress.command("tail"))
    .description("the newest entries of the ledger, oldest first; with -f, and those to come")
    .option("-n, --limit <number>", "how many to begin with", wholeNumber(1, page), 20)
    .option("-f, --follow", "go on until interrupted")
    .addHelpText(
      "after",
      `
With -f a tunnel or request that lasts is shown as open when it is seen, and again, with its verdict, bytes and duration,
when it has ended; with --verdict only then, since what is open has no verdict yet.

Example:
  ccw-server egress tail -f --verdict refused`,
    )
    .action(async (options: Filter & { follow?: boolean }) => {
      const { client, query } = await filterOf(options);
      const colour = wantsColour(io);
      const print = async (rows: readonly EgressRow[]) => {
        for (const row of rows)
          await io.out.write(cli.globals().json ? jsonText(row) : `${paint(entryLine(row), colour)}\n`);
      };
      const list = (narrowed: typeof query, limit: number): Promise<EgressRow[]> =>
        client.read(client.api.egress.$get({ query: { ...narrowed, limit: String(limit) } }));
      if (options.follow !== true) return print((await list(query, options.limit)).toReversed());
      const { verdict, ...anyVerdict } = query;
      const matches = (row: EgressRow) => verdict === undefined || (!row.open && row.verdict === verdict);
      // Of any verdict: what runs by now may end with the one that is asked for. What runs and is older is not followed.
      const newest = await list(anyVerdict, page);
      const last = newest[0]?.id ?? 0;
      const first = verdict === undefined ? newest.slice(0, options.limit) : await list(query, options.limit);
      const shown = first.filter((row) => row.id <= last && matches(row));
      await print(shown.toReversed());
      const over = new Set(shown.filter((row) => !row.open).map((row) => row.id));
      const running = newest.filter((row) => row.open && !over.has(row.id)).map((row) => row.id);
      for await (const rows of followLedger(client, anyVerdict, { last, running }))
        await print(rows.filter(matches));
    });

  egress
    .command("stats")
    .description("requests, refusals and bytes, by host")
    .option("-t, --task <task>", "of one task")
    .option("--since <time>", "of the last 30m, 12h or 7d", duration)
    .action(async (options: Pick<Filter, "task" | "since">) => {
      const { client, query } = await filterOf(options);
      const stats = await client.read(client.api.egress.stats.$get({ query }));
      if (cli.globals().json) return io.out.write(jsonText(stats, 2));
      const cellsOf = (host: string, sums: typeof stats.total) => [
        host,
        countText(sums.requests),
        countText(sums.refused),
        bytesText(sums.bytesUp),
        bytesText(sums.bytesDown),
      ];
      const rows = [...stats.hosts.map((row) => cellsOf(row.host, row)), cellsOf("all hosts", stats.total)];
      const head = ["HOST", "REQUESTS", "REFUSED", "UP", "DOWN"];
      await io.out.write(table(head, rows, { width: io.out.columns, shrink: "HOST" }));
      if (stats.lost > 0) await io.err.write(`${stats.lost} entries came faster than they could be kept.\n`);
    });

  egress
    .command("check")
    .description("say what would happen to a request, and why, without sending anything")
    .argument("<url>")
    .requiredOption("-e, --env <environment>", "environment")
    .option("-m, --method <method>", "method", "GET")
    .addHelpText(
      "after",
      "\nThe exit code is 0 where the request would be let through, 1 where it would be refused, and 2 for what is no URL.",
    )
    .action(async (url: string, { env, method }: { env: string; method: string }) => {
      const client = await cli.connect();
      const found = await client.read(
        client.api.egress.check.$post({ json: { url, method, environment: env } }),
      );
      if (!found.allowed) cli.exitWith(exitCodes.failed);
      if (cli.globals().json) return io.out.write(jsonText(found, 2));
      return io.out.write(
        facts([
          ["Verdict", found.allowed ? "allowed" : `refused (${found.code})`],
          ["Steps", found.steps.join("\n")],
        ]),
      );
    });

  egress
    .command("requests")
    .description("hosts that sandboxes were refused, put before a person")
    .option("-t, --task <task>", "of one task")
    .addOption(new Option("--state <state>", "in this state alone").choices(states).default("pending"))
    .option("--all", "in any state")
    .action(async (options: { task?: string; state: (typeof states)[number]; all?: boolean }) => {
      const client = await cli.connect();
      const rows = await client.read(
        client.api["access-requests"].$get({
          query: {
            ...(options.task !== undefined && { task: await findTaskId(client, options.task) }),
            ...(options.all !== true && { state: options.state }),
          },
        }),
      );
      if (cli.globals().json) return io.out.write(jsonText(rows, 2));
      const now = Date.now();
      const cells = rows.map((row) => [
        String(row.id),
        `${row.host}:${row.port}`,
        row.reason,
        String(row.count),
        ageText(now - row.lastAt),
        row.scope === undefined ? row.state : `${row.state} (${row.scope})`,
        row.environment,
        shortId(row.taskId),
        row.taskTitle,
      ]);
      if (rows.length === 0)
        return io.err.write("No such requests: nothing that was refused waits for you.\n");
      const head = ["ID", "TARGET", "REASON", "TIMES", "LAST", "STATE", "ENVIRONMENT", "TASK", "TITLE"];
      return io.out.write(table(head, cells, { width: io.out.columns, shrink: "TITLE" }));
    });

  egress
    .command("allow")
    .description("grant an access request; in effect at once. Of a task that has ended: with --env alone")
    .argument("<request>", "as `egress requests` shows it")
    .addOption(new Option("--once", "for the next connection within the hour").conflicts(["task", "env"]))
    .addOption(new Option("--task", "for this task; so it is where nothing is said").conflicts(["env"]))
    .option("--env", "for the environment: the rule is added to it, for every task in it")
    .action(async (id: string, scope: { once?: boolean; task?: boolean; env?: boolean }) =>
      decide(id, scope.once === true ? "once" : scope.env === true ? "environment" : "task"),
    );

  egress
    .command("deny")
    .description("deny an access request; this task asks no more for that host")
    .argument("<request>", "as `egress requests` shows it")
    .action(async (id: string) => decide(id, "deny"));

  async function decide(id: string, decision: "once" | "task" | "environment" | "deny"): Promise<void> {
    const client = await cli.connect();
    const decided = await client.read(
      client.api["access-requests"][":id"].$post({ param: { id }, json: { decision } }),
    );
    if (cli.globals().json) return io.out.write(jsonText(decided, 2));
    const words = {
      once: "Allowed for one connection within the hour",
      task: "Allowed for this task",
      environment: `Allowed in the environment ${decided.environment}`,
      deny: "Denied for this task",
    };
    return io.err.write(`${words[decision]}: ${decided.host}:${decided.port}.\n`);
  }
}

function withFilters(command: ReturnType<Cli["program"]["command"]>) {
  return command
    .option("-t, --task <task>", "of one task")
    .option("--host <host>", "to one host, exactly")
    .addOption(new Option("--verdict <verdict>", "with this verdict").choices(verdicts))
    .option("--since <time>", "of the last 30m, 12h or 7d", duration);
}

const unitMs: Record<string, number> = { s: 1000, m: 60_000, h: 3600_000, d: 86_400_000 };

/** Milliseconds of `30m`, `12h`, `7d`. */
function duration(text: string): number {
  const [, amount = "", unit = ""] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  const ms = unitMs[unit];
  if (ms === undefined) {
    throw new CcwError(
      "invalid",
      `${JSON.stringify(text)} is not a time.`,
      "Write it such as 30m, 12h or 7d.",
    );
  }
  return Number(amount) * ms;
}
