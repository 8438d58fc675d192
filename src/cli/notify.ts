import { type Command, InvalidArgumentError, Option } from "commander";
import { ageText } from "../domain/amounts.ts";
import { CcwError } from "../domain/errors.ts";
import { headlineOf, type NotificationKind, notificationKinds } from "../domain/notification.ts";
import { plainLine } from "../domain/plain-text.ts";
import { type Cli, wholeNumber } from "./cli.ts";
import { jsonText, table } from "./output.ts";
import { readSecret } from "./secret-input.ts";
import { shortId } from "./task-id.ts";

interface AddFlags {
  kinds?: NotificationKind[];
  secretFile?: string;
  tokenFile?: string;
}

export function addNotifyCommands(cli: Cli): void {
  const { program, io } = cli;
  const notify = program.command("notify").description("how you are told what became of your tasks");
  const channel = wholeNumber(1, 1e9);

  const add = notify.command("add").description("add a channel of yours");
  withKinds(add.command("webhook"))
    .description("POST signed JSON, as Standard Webhooks has it; the secret is printed this once")
    .argument("<url>")
    .option("--secret-file <file>", "take this secret (whsec_…), - for standard input; one is made otherwise")
    .action(async (url: string, { kinds, secretFile }: AddFlags) => {
      const secret = secretFile === undefined ? undefined : await readSecret(secretFile, "one", io);
      await make({ kind: "webhook", url, ...(secret !== undefined && { secret }), ...(kinds && { kinds }) });
    });
  withKinds(add.command("email"))
    .description("send mail, where the operator has set up a mail server")
    .argument("<address>")
    .action((address: string, { kinds }: AddFlags) =>
      make({ kind: "email", address, ...(kinds && { kinds }) }),
    );
  withKinds(add.command("ntfy"))
    .description("publish to a topic of ntfy, or of a server that is like it")
    .argument("<url>", "the topic's address, such as https://ntfy.sh/my-topic")
    .option("--token-file <file>", "an access token, - for standard input")
    .action(async (url: string, { kinds, tokenFile }: AddFlags) => {
      const token = tokenFile === undefined ? "" : await readSecret(tokenFile, "one", io);
      await make({ kind: "ntfy", url, token, ...(kinds && { kinds }) });
    });
  add.addHelpText(
    "after",
    `
Kinds of event: ${notificationKinds.join(", ")}; all but pull_request where none are named.

Examples:
  ccw-server notify add ntfy https://ntfy.example/ada-tasks --token-file token.txt
  ccw-server notify add webhook https://hooks.example/ccw --kinds failed,question
  ccw-server notify add email ada@example.com`,
  );

  notify
    .command("list")
    .alias("ls")
    .description("your channels, without their secrets")
    .action(async () => {
      const client = await cli.connect();
      const { channels } = await client.read(client.api.notifications.channels.$get());
      if (cli.globals().json) return io.out.write(jsonText(channels, 2));
      if (channels.length === 0)
        return io.err.write("You are told nothing yet: ccw-server notify add ntfy|webhook|email …\n");
      const cells = channels.map(({ id, kind, target, kinds, on, trouble }) => [
        ...[String(id), kind, plainLine(target), kinds.join(" ")],
        on ? "on" : `off ${plainLine(trouble)}`.trim(),
      ]);
      const head = ["ID", "KIND", "TO", "EVENTS", "STATE"];
      return io.out.write(table(head, cells, { width: io.out.columns, shrink: "EVENTS" }));
    });

  notify
    .command("test")
    .description("send a test, and say what came of it")
    .argument("<channel>", "its id, as `notify list` shows it", channel)
    .action(async (id: number) => {
      const client = await cli.connect();
      const outcome = await client.read(
        client.api.notifications.channels[":id"].test.$post({ param: { id: String(id) } }),
      );
      if (cli.globals().json) return io.out.write(jsonText(outcome, 2));
      if (!outcome.sent) throw new CcwError("unavailable", `It was not taken. ${plainLine(outcome.error)}`);
      return io.out.write("It was taken.\n");
    });

  withKinds(notify.command("set"))
    .description("choose what a channel tells, or switch it on or off")
    .argument("<channel>", "its id", channel)
    .addOption(new Option("--on", "switch it on").conflicts(["off"]))
    .option("--off", "switch it off")
    .action(async (id: number, { kinds, on, off }: AddFlags & { on?: boolean; off?: boolean }) => {
      const wanted = on === true ? { on: true } : off === true ? { on: false } : {};
      if (kinds === undefined && wanted.on === undefined)
        throw new CcwError("invalid", "Nothing is to be changed.", "Say --kinds, --on or --off.");
      const client = await cli.connect();
      const changed = await client.read(
        client.api.notifications.channels[":id"].$patch({
          param: { id: String(id) },
          json: { ...wanted, ...(kinds && { kinds }) },
        }),
      );
      return cli.globals().json
        ? io.out.write(jsonText(changed, 2))
        : io.err.write(
            `Channel ${id} is ${changed.on ? "on" : "off"} and tells: ${changed.kinds.join(", ")}.\n`,
          );
    });

  notify
    .command("remove")
    .alias("rm")
    .description("remove a channel and its log")
    .argument("<channel>", "its id", channel)
    .action(async (id: number) => {
      const client = await cli.connect();
      await client.read(client.api.notifications.channels[":id"].$delete({ param: { id: String(id) } }));
      await io.err.write(`Removed channel ${id}.\n`);
    });

  notify
    .command("log")
    .description("what was sent to you, or is still to be, newest first")
    .option("--channel <id>", "of one channel", channel)
    .option("--limit <number>", "at most so many", wholeNumber(1, 1000), 50)
    .action(async (flags: { channel?: number; limit: number }) => {
      const client = await cli.connect();
      const rows = await client.read(
        client.api.notifications.log.$get({
          query: {
            limit: String(flags.limit),
            ...(flags.channel !== undefined && { channel: String(flags.channel) }),
          },
        }),
      );
      if (cli.globals().json) return io.out.write(jsonText(rows, 2));
      if (rows.length === 0) return io.err.write("Nothing was sent yet.\n");
      const now = Date.now();
      const cells = rows.map(({ at, channelId, taskId, kind, title, state, attempts, error }) => [
        ...[ageText(now - at), String(channelId), taskId === undefined ? "" : shortId(taskId)],
        ...[headlineOf({ kind, title }), state, String(attempts), plainLine(error)],
      ]);
      const head = ["AGE", "CHANNEL", "TASK", "WHAT", "STATE", "TRIES", "LAST ERROR"];
      return io.out.write(table(head, cells, { width: io.out.columns, shrink: "WHAT" }));
    });

  type NewChannel = Parameters<
    Awaited<ReturnType<Cli["connect"]>>["api"]["notifications"]["channels"]["$post"]
  >[0]["json"];

  async function make(json: NewChannel): Promise<void> {
    const client = await cli.connect();
    const made = await client.read(client.api.notifications.channels.$post({ json }));
    if (cli.globals().json) return io.out.write(jsonText(made, 2));
    const { channel, secret } = made;
    await io.err.write(`Added channel ${channel.id}. Try it: ccw-server notify test ${channel.id}\n`);
    if (secret !== undefined) await io.out.write(`${secret}\n`);
  }
}

function withKinds(command: Command): Command {
  return command.addOption(
    new Option("--kinds <list>", "kinds of event, with commas").argParser((text) =>
      text.split(",").map((word) => {
        const kind = notificationKinds.find((known) => known === word.trim());
        if (kind === undefined)
          throw new InvalidArgumentError(`Known kinds: ${notificationKinds.join(", ")}.`);
        return kind;
      }),
    ),
  );
}
