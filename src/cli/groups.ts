import type { GroupJson, TaskJson } from "../client.ts";
import { countText } from "../domain/amounts.ts";
import { diffStat } from "../domain/diff-stat.ts";
import { CcwError } from "../domain/errors.ts";
import { plainLine } from "../domain/plain-text.ts";
import type { Cli } from "./cli.ts";
import { facts, jsonText, table } from "./output.ts";
import { findTaskId, shortId } from "./task-id.ts";

const groupHelp = "id of a comparison, or one of its tasks";

export function addGroupCommands(cli: Cli): void {
  const { program, io } = cli;
  const group = program
    .command("group")
    .description("several attempts at the same prompt: compare them, keep one");

  const find = async (text: string): Promise<GroupJson> => {
    const client = await cli.connect();
    if (text.startsWith("grp_")) return client.read(client.api.groups[":id"].$get({ param: { id: text } }));
    const param = { id: await findTaskId(client, text) };
    const { task } = await client.read(client.api.tasks[":id"].$get({ param }));
    if (task.attempt === undefined) {
      throw new CcwError(
        "invalid",
        `The task ${task.id} stands alone.`,
        "`ccw-server task create --attempts 3` makes several to compare.",
      );
    }
    return client.read(client.api.groups[":id"].$get({ param: { id: task.attempt.groupId } }));
  };

  group
    .command("show")
    .description("the attempts: how they stand, what they used, what they changed")
    .argument("<comparison>", groupHelp)
    .action(async (text: string) => {
      const found = await find(text);
      if (cli.globals().json) return io.out.write(jsonText(found, 2));
      const client = await cli.connect();
      const rows = [];
      for (const task of found.tasks) {
        const diffs = await client.read(client.api.tasks[":id"].diff.$get({ param: { id: task.id } }));
        rows.push(rowOf(found, task, diffs));
      }
      const head = facts([
        ["Comparison", found.id],
        ["Title", found.title],
        ["Person", found.person],
      ]);
      const columns = ["ID", "STATE", "MODEL", "TOKENS", "FILES", "+", "-", "DETAIL"];
      return io.out.write(`${head}\n${table(columns, rows, { width: io.out.columns, shrink: "DETAIL" })}`);
    });

  group
    .command("keep")
    .description("keep one attempt and cancel the others; what those pushed stays on their branches")
    .argument("<task>", "id, beginning or end of one of the attempts")
    .action(async (text: string) => {
      const client = await cli.connect();
      const taskId = await findTaskId(client, text);
      const { id } = await find(taskId);
      const kept = await client.read(
        client.api.groups[":id"].keep.$post({ param: { id }, json: { taskId } }),
      );
      if (cli.globals().json) return io.out.write(jsonText(kept, 2));
      return io.err.write(`Kept ${taskId}.\n`);
    });
}

function rowOf({ kept }: GroupJson, task: TaskJson, diffs: { diff: string; truncated: boolean }[]): string[] {
  const stats = diffs.map(({ diff }) => diffStat(diff));
  const sum = (key: "files" | "added" | "removed") =>
    `${stats.reduce((all, each) => all + each[key], 0)}${diffs.some(({ truncated }) => truncated) ? "+" : ""}`;
  return [
    shortId(task.id),
    kept === task.id ? `${task.state}, kept` : task.state,
    task.model,
    countText(task.inputTokens + task.outputTokens),
    ...[sum("files"), sum("added"), sum("removed")],
    plainLine(task.detail),
  ];
}
