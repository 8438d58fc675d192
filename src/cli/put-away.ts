import type { Command } from "commander";
import type { Client, TaskJson } from "../client.ts";
import { ageText } from "../domain/amounts.ts";
import { plainLine } from "../domain/plain-text.ts";
import type { TaskShelf } from "../domain/store/tasks.ts";
import type { Cli } from "./cli.ts";
import { jsonText } from "./output.ts";
import { findTaskId, shortId } from "./task-id.ts";

const idHelp = "id, beginning or end of one, or `last`";

/** Archiving, deleting, and the ways back. */
export function addPutAwayCommands(cli: Cli, task: Command): void {
  const say = (text: string) => cli.io.err.write(`${text}\n`);
  const told = async (row: TaskJson, text: string) => {
    if (cli.globals().json) await cli.io.out.write(jsonText(row, 2));
    else await say(`“${plainLine(row.title)}” (${shortId(row.id)}) ${text}`);
  };
  const taskOf = async (client: Client, text: string) => {
    const param = { id: await findTaskId(client, text) };
    const { task: row } = await client.read(client.api.tasks[":id"].$get({ param }));
    return { param, wasArchived: row.archivedAt !== undefined };
  };

  task
    .command("archive")
    .description(
      "leave tasks that rest out of the lists, and remove their sandboxes; the next prompt takes one back",
    )
    .argument("<task...>", idHelp)
    .action(async (texts: string[]) => {
      const client = await cli.connect();
      for (const text of texts) {
        const { param, wasArchived } = await taskOf(client, text);
        const row = await client.read(client.api.tasks[":id"].archive.$post({ param }));
        await told(row, wasArchived ? "was archived already." : "is archived.");
      }
    });

  task
    .command("unarchive")
    .description("take tasks back from the archive")
    .argument("<task...>", idHelp)
    .action(async (texts: string[]) => {
      const client = await cli.connect();
      for (const text of texts) {
        const { param, wasArchived } = await taskOf(client, text);
        const row = await client.read(client.api.tasks[":id"].archive.$delete({ param }));
        await told(row, wasArchived ? "is back." : "was not archived.");
      }
    });

  task
    .command("delete")
    .alias("rm")
    .description(
      "delete tasks that rest, and after a grace time everything that belongs to them; branches stay",
    )
    .argument("<task...>", idHelp)
    .option("--now", "without a grace time: nothing brings them back")
    .action(async (texts: string[], { now }: { now?: true }) => {
      const client = await cli.connect();
      for (const text of texts) {
        const param = { id: await findTaskId(client, text) };
        const query = now ? { now: "true" as const } : {};
        const row = await client.read(client.api.tasks[":id"].$delete({ param, query }));
        await told(
          row,
          now
            ? "is being removed."
            : `is deleted. Until it is removed, in ${leftText(row, Date.now())}: ccw-server task restore ${shortId(row.id)}`,
        );
      }
    });

  task
    .command("restore")
    .description("bring back tasks that were deleted, while their grace time lasts")
    .argument("<task...>", "id, beginning or end of one")
    .action(async (texts: string[]) => {
      const client = await cli.connect();
      for (const text of texts) {
        const param = { id: await findTaskId(client, text, { deleted: true }) };
        await told(await client.read(client.api.tasks[":id"].restore.$post({ param })), "is there again.");
      }
    });
}

/** The options of `task list` that say which tasks. */
export interface Shelves {
  archived?: true;
  all?: true;
  deleted?: true;
}

export function shelfOf({ archived, all, deleted }: Shelves): TaskShelf {
  if (deleted) return "deleted";
  if (archived) return "archived";
  return all ? "all" : "current";
}

/** A task's state as a list shows it; `now` in milliseconds since the epoch. */
export function stateText(task: TaskJson, now: number): string {
  if (task.deletion !== undefined) return `removed in ${leftText(task, now)}`;
  if (task.archivedAt !== undefined) return `${task.state}, archived`;
  return task.queuePosition === undefined ? task.state : `${task.state} #${task.queuePosition}`;
}

function leftText({ deletion }: TaskJson, now: number): string {
  return ageText(Math.max(0, (deletion?.removeAt ?? 0) - now));
}
