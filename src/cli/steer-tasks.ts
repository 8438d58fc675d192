import { type Command, Option } from "commander";
import { CcwError } from "../domain/errors.ts";
import { plainLine } from "../domain/plain-text.ts";
import { attachmentText, modeInWords } from "../domain/steering-words.ts";
import { answerOf } from "./answer.ts";
import { attach, attachHelp } from "./attach.ts";
import { type Cli, collect, wholeNumber } from "./cli.ts";
import { jsonText, table } from "./output.ts";
import { promptHelp, promptIdOf } from "./prompt-id.ts";
import { readPrompt } from "./prompt-text.ts";
import { findTaskId, shortId } from "./task-id.ts";

const idHelp = "id, beginning or end of one, or `last`";

/** What is said to a task after it was submitted: `task prompt`, its queue, and how the agent is steered. */
export function addSteeringCommands(cli: Cli, task: Command): void {
  const { io } = cli;
  const say = (text: string) => io.err.write(`${text}\n`);
  const taskOf = async (text: string) => {
    const client = await cli.connect();
    return { client, id: await findTaskId(client, text) };
  };
  /** The waiting prompt that a person means, by its place in the queue or its id. */
  const promptOf = async (text: string, prompt: string) => {
    const { client, id } = await taskOf(text);
    const { prompts } = await client.read(client.api.tasks[":id"].$get({ param: { id } }));
    return { client, param: { id, promptId: promptIdOf(prompts, prompt) } };
  };

  task
    .command("prompt")
    .description(
      "send one more prompt to a task; it is taken after the current turn, and a task that rests goes on",
    )
    .argument("<task>", idHelp)
    .argument("[prompt...]", "the prompt; read from standard input where it is left out")
    .option("-f, --file <file>", "read the prompt from a file; - is standard input")
    .option("-a, --attach <file>", attachHelp, collect)
    .option("--now", "do not wait for the current turn: the agent reads it at its next step")
    .addHelpText(
      "after",
      `
Examples:
  ccw-server task prompt last "Add a test for it, too"
  ccw-server task prompt last --now "Not that file: the other one"
  ccw-server task prompt last --attach screenshot.png "It looks like this"`,
    )
    .action(async (text: string, words: string[], options: PromptOptions) => {
      const prompt = await readPrompt({ words, file: options.file }, io);
      const { client, id } = await taskOf(text);
      const attachments = await attach(client, options.attach);
      const sent = await client.read(
        client.api.tasks[":id"].prompts.$post({
          param: { id },
          json: { text: prompt, attachments, now: options.now === true },
        }),
      );
      if (cli.globals().json) return io.out.write(jsonText(sent, 2));
      return say("Sent.");
    });

  task
    .command("prompts")
    .description("a task's prompts; those that wait with their place in the queue")
    .argument("<task>", idHelp)
    .action(async (text: string) => {
      const { client, id } = await taskOf(text);
      const shown = await client.read(client.api.tasks[":id"].$get({ param: { id } }));
      if (cli.globals().json) return io.out.write(jsonText(shown.prompts, 2));
      const rows = shown.prompts.map((row) => [
        row.position === undefined ? "" : String(row.position),
        shortId(row.id),
        row.now && row.state !== "removed" ? `${row.state}, at once` : row.state,
        row.person,
        [row.text, ...row.attachments.map((file) => `[${attachmentText(file)}]`)].join(" "),
      ]);
      await io.out.write(
        table(["#", "ID", "STATE", "PERSON", "PROMPT"], rows, { width: io.out.columns, shrink: "PROMPT" }),
      );
      if (shown.task.held) return say(`They are held. To go on: ccw-server task resume ${shortId(id)}`);
    });

  task
    .command("edit")
    .description("change the words of a prompt that waits")
    .argument("<task>", idHelp)
    .argument("<prompt>", promptHelp)
    .argument("[text...]", "the new words; read from standard input where they are left out")
    .option("-f, --file <file>", "read them from a file; - is standard input")
    .addHelpText("after", '\nExample:\n  ccw-server task edit last 2 "Add two tests for it"')
    .action(async (text: string, prompt: string, words: string[], { file }: { file?: string }) => {
      const changed = await readPrompt({ words, file }, io);
      const { client, param } = await promptOf(text, prompt);
      const { [":promptId"]: one } = client.api.tasks[":id"].prompts;
      await client.read(one.$patch({ param, json: { text: changed } }));
      return say("Changed.");
    });

  task
    .command("move")
    .description("move a prompt that waits to another place in the queue")
    .argument("<task>", idHelp)
    .argument("<prompt>", promptHelp)
    .argument("<position>", "its new place, from 1", wholeNumber(1, 1_000_000))
    .addHelpText("after", "\nExample:\n  ccw-server task move last 3 1")
    .action(async (text: string, prompt: string, position: number) => {
      const { client, param } = await promptOf(text, prompt);
      const { [":promptId"]: one } = client.api.tasks[":id"].prompts;
      await client.read(one.move.$post({ param, json: { position } }));
      return say("Moved.");
    });

  task
    .command("unqueue")
    .description("take prompts back that wait")
    .argument("<task>", idHelp)
    .argument("<prompt...>", promptHelp)
    .action(async (text: string, wanted: string[]) => {
      const { client, id } = await taskOf(text);
      const { prompts } = await client.read(client.api.tasks[":id"].$get({ param: { id } }));
      const { [":promptId"]: one } = client.api.tasks[":id"].prompts;
      // By their ids before the first one goes: it changes the places of the others.
      for (const promptId of new Set(wanted.map((each) => promptIdOf(prompts, each))))
        await client.read(one.$delete({ param: { id, promptId } }));
      return say("Taken back.");
    });

  task
    .command("send-now")
    .description("give a prompt that waits to the agent at the next step of its turn")
    .argument("<task>", idHelp)
    .argument("<prompt>", promptHelp)
    .action(async (text: string, prompt: string) => {
      const { client, param } = await promptOf(text, prompt);
      const { [":promptId"]: one } = client.api.tasks[":id"].prompts;
      await client.read(one["send-now"].$post({ param }));
      return say("The agent reads it at its next step.");
    });

  task
    .command("answer")
    .description("answer what the agent asks: yes or no, or a choice for each of its questions")
    .argument("<task>", idHelp)
    .argument("[answer...]", "`yes`, `no`, or for each question the number of a choice or words of your own")
    .option("--request <id>", "which of several open questions; the oldest where it is left out")
    .option("--message <text>", "with `no`: what to do instead")
    .addHelpText(
      "after",
      `
Examples:
  ccw-server task answer last yes
  ccw-server task answer last no --message "Leave the database alone"
  ccw-server task answer last 2 "call it main"`,
    )
    .action(async (text: string, words: string[], options: { request?: string; message?: string }) => {
      const { client, id } = await taskOf(text);
      const { questions } = await client.read(client.api.tasks[":id"].$get({ param: { id } }));
      const question =
        options.request === undefined
          ? questions[0]
          : questions.find(({ requestId }) => requestId === options.request);
      if (question === undefined) {
        throw new CcwError(
          "conflict",
          "The task does not wait for an answer.",
          "`ccw-server task show TASK` shows what it does; `task prompt` says something to it.",
        );
      }
      const answer = answerOf(question, words, options.message);
      const json = { requestId: question.requestId, answer };
      await client.read(client.api.tasks[":id"].answers.$post({ param: { id }, json }));
      return say("Answered.");
    });

  task
    .command("model")
    .description("change the model of a task, in the middle of its work, too")
    .argument("<task>", idHelp)
    .argument("<model>", "as the agent names it; `default` is the appliance's")
    .action(async (text: string, name: string) => {
      const { client, id } = await taskOf(text);
      const model = name === "default" ? "" : name;
      await client.read(client.api.tasks[":id"].$patch({ param: { id }, json: { model } }));
      return say(
        `The model is ${name === "" ? "the agent's own default" : plainLine(name)} from the next request on.`,
      );
    });

  task
    .command("mode")
    .description("let the agent act, or plan first and change nothing until its plan is approved")
    .argument("<task>", idHelp)
    .addArgument(task.createArgument("<mode>", "act or plan").choices(["act", "plan"]))
    .action(async (text: string, mode: "act" | "plan") => {
      const { client, id } = await taskOf(text);
      await client.read(client.api.tasks[":id"].$patch({ param: { id }, json: { mode } }));
      return say(`From now on ${modeInWords[mode]}.`);
    });

  task
    .command("interrupt")
    .description(
      "end the turn that runs now; the task stays, and its queue waits for a prompt or `task resume`",
    )
    .argument("<task>", idHelp)
    .action(async (text: string) => {
      const { client, id } = await taskOf(text);
      await client.read(client.api.tasks[":id"].interrupt.$post({ param: { id } }));
      return say("The agent is being interrupted.");
    });

  task
    .command("resume")
    .description("let a task go on that is paused, or whose queue is held")
    .argument("<task>", idHelp)
    .action(async (text: string) => {
      const { client, id } = await taskOf(text);
      await client.read(client.api.tasks[":id"].resume.$post({ param: { id } }));
      return say("The task goes on.");
    });

  task
    .command("cancel")
    .alias("stop")
    .description("stop a task; what it pushed stays, and the next prompt takes it up again")
    .argument("<task...>", idHelp)
    .action(async (texts: string[]) => {
      for (const text of texts) {
        const { client, id } = await taskOf(text);
        await client.read(client.api.tasks[":id"].cancel.$post({ param: { id } }));
        await say(`${id} is being stopped.`);
      }
    });
}

/** For a task that is submitted. */
export const modeOption = () =>
  new Option(
    "--mode <mode>",
    "`plan`: the agent plans first, and changes nothing before its plan is approved",
  )
    .choices(["act", "plan"])
    .default("act");

interface PromptOptions {
  file?: string;
  attach?: string[];
  now?: boolean;
}
