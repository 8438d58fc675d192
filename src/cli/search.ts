import { Option } from "commander";
import { ageText } from "../domain/amounts.ts";
import { CcwError } from "../domain/errors.ts";
import { plainLine } from "../domain/plain-text.ts";
import { searchKindWords } from "../domain/search.ts";
import type { TaskStateKind } from "../domain/task.ts";
import { type Cli, wholeNumber } from "./cli.ts";
import { wantsColour } from "./io.ts";
import { jsonText, paint } from "./output.ts";
import { shortId } from "./task-id.ts";

interface SearchOptions {
  limit: number;
  before?: number;
  days?: number;
  state?: TaskStateKind;
  person?: string;
  archived?: true;
  rebuild?: true;
}

export function addSearchCommand({ program, io, connect, globals }: Cli): void {
  const say = (text: string) => io.err.write(`${text}\n`);
  program
    .command("search")
    .description("search titles, prompts and transcripts of all tasks")
    .argument("[words...]", "all of them have to be there; the last may be a beginning")
    .option("-n, --limit <number>", "tasks at once", wholeNumber(1, 50), 10)
    .option("--days <number>", "what was said in the last days alone", wholeNumber(1, 36_500))
    .option("-s, --state <state>", "tasks in this state alone")
    .option("-p, --person <name>", "this person's tasks alone")
    .option("--archived", "archived tasks alone")
    .option("--before <cursor>", "go on where the last page ended", wholeNumber(0, Number.MAX_SAFE_INTEGER))
    .addOption(
      new Option("--rebuild", "read everything again, in the background").conflicts(["before", "days"]),
    )
    .addHelpText(
      "after",
      `
Examples:
  ccw-server search flaky login
  ccw-server search '"connection reset"' --days 7
  ccw-server search migrat --json | jq -r '.results[].task.id'`,
    )
    .action(async (words: string[], options: SearchOptions) => {
      const client = await connect();
      if (options.rebuild) {
        await client.read(client.api.search.rebuild.$post());
        return say("Everything is read again; until that is done, the search finds less.");
      }
      const q = words.join(" ");
      if (!/[\p{L}\p{N}]/u.test(q)) {
        const example = "A word or its beginning, or several: ccw-server search flaky login";
        throw new CcwError("invalid", "There is no word to look for.", example);
      }
      const now = Date.now();
      const { limit, before, days, state, person, archived } = options;
      const page = await client.read(
        client.api.search.$get({
          query: {
            ...{ q, limit: String(limit) },
            ...(before !== undefined && { before: String(before) }),
            ...(days !== undefined && { since: String(now - days * 24 * 3_600_000) }),
            ...(state !== undefined && { state }),
            ...(person !== undefined && { person }),
            ...(archived && { show: "archived" }),
          },
        }),
      );
      if (globals().json) return io.out.write(jsonText(page, 2));
      const colour = wantsColour(io);
      for (const { task, places } of page.results) {
        const head = `${shortId(task.id)}  ${plainLine(task.title)}  (${task.archived ? "archived, " : ""}${task.state}, ${plainLine(task.person)}, ${ageText(now - task.createdAt)} ago)`;
        await io.out.write(`${paint({ tone: "strong", text: head }, colour)}\n`);
        for (const { kind, seq, snippet } of places) {
          const text = snippet
            .map(({ text, hit }) =>
              paint({ tone: hit ? "good" : "plain", text: inPlace(text) }, colour && hit),
            )
            .join("");
          await io.out.write(`        ${searchKindWords[kind]} @${seq}: ${text}\n`);
        }
      }
      if (page.results.length === 0) await say(page.cutShort ? "Nothing so far." : "Nothing was found.");
      if (page.next !== undefined) await say(`There may be more: --before ${page.next}`);
      if (page.behind > 0) await say(`${page.behind} events have not been read yet.`);
    });
}

/** Safe for a terminal, with the blanks at its ends. */
function inPlace(text: string): string {
  return `${/^\s/.test(text) ? " " : ""}${plainLine(text)}${/\S\s$/.test(text) ? " " : ""}`;
}
