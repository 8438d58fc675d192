import type { Client, TaskJson } from "../client.ts";
import { CcwError } from "../domain/errors.ts";
import { type TaskEvent, taskEventSchema } from "../domain/event.ts";
import { isDone, type TaskStateKind, taskStateKinds } from "../domain/task.ts";
import { createTranscriptText } from "../domain/transcript-text.ts";
import type { Cli } from "./cli.ts";
import { exitCodes } from "./exit-codes.ts";
import { wantsColour } from "./io.ts";
import { jsonText, paint } from "./output.ts";
import { shortId } from "./task-id.ts";

const pageLength = 500;
/** How often a silent connection is checked. */
const checkMs = 5000;

/** Prints a task's transcript from the cursor on until the task rests; the exit code tells how it does. */
export async function followTask(cli: Cli, client: Client, id: string, after: number): Promise<number> {
  const { io } = cli;
  const stop = new AbortController();
  const onSignal = () => stop.abort(new Interrupted());
  process.once("SIGINT", onSignal);
  const transcript = createTranscriptText();
  const colour = wantsColour(io);
  let seq = after;
  try {
    for await (const events of untilRests(
      client,
      id,
      after,
      stop,
      (text) => void io.err.write(`${text}\n`),
    )) {
      for (const event of events) {
        seq = event.seq;
        await io.out.write(
          cli.globals().json
            ? jsonText(event)
            : transcript
                .add(event.body)
                .map((line) => `${paint(line, colour)}\n`)
                .join(""),
        );
      }
    }
    return exitCodeOf(await readTask(client, id));
  } catch (thrown) {
    if (!(thrown instanceof Interrupted)) throw thrown;
    await io.err.write(
      `\nThe task goes on. To look on: ccw-server task follow ${shortId(id)} --after ${seq}\n`,
    );
    return exitCodes.interrupted;
  } finally {
    process.off("SIGINT", onSignal);
  }
}

class Interrupted extends Error {}

const readTask = async (client: Client, id: string): Promise<TaskJson> =>
  (await client.read(client.api.tasks[":id"].$get({ param: { id } }))).task;

/** Nothing happens to it by itself any more, or not for now. */
const rests = (state: TaskStateKind) => isDone(state) || state === "paused";

function exitCodeOf({ state, held }: TaskJson): number {
  if (state === "paused" || (state === "idle" && held)) return exitCodes.paused;
  if (state === "cancelled") return exitCodes.cancelled;
  return state === "failed" ? exitCodes.failed : exitCodes.ok;
}

async function* untilRests(
  client: Client,
  id: string,
  after: number,
  stop: AbortController,
  say: (text: string) => void,
): AsyncGenerator<TaskEvent[]> {
  let cursor = after;
  if (rests((await readTask(client, id)).state)) {
    yield* pages(client, id, cursor);
    return;
  }
  const watch = watchConnection(client, id, stop, say);
  try {
    for await (const events of client.followTask(id, after, stop.signal)) {
      yield events;
      cursor = events.at(-1)?.seq ?? cursor;
      // It may have rested before, and gone on: what it does now, the task itself says.
      const rested = events.map(stateOf).some((state) => state !== undefined && rests(state));
      if (rested && rests((await readTask(client, id)).state)) {
        yield* pages(client, id, cursor);
        return;
      }
    }
  } finally {
    watch.close();
  }
  if (stop.signal.reason instanceof Error) throw stop.signal.reason;
}

async function* pages(client: Client, id: string, after: number): AsyncGenerator<TaskEvent[]> {
  let cursor = after;
  while (true) {
    const events = taskEventSchema.array().parse(
      await client.read(
        client.api.tasks[":id"].events.$get({
          param: { id },
          query: { after: String(cursor), limit: String(pageLength) },
        }),
      ),
    );
    if (events.length === 0) return;
    yield events;
    cursor = events.at(-1)?.seq ?? cursor;
  }
}

/** The live connection mends itself and says nothing; this says when it is gone, and gives up where that is for good. */
function watchConnection(client: Client, id: string, stop: AbortController, say: (text: string) => void) {
  let gone = false;
  const timer = setInterval(async () => {
    try {
      await client.read(client.api.tasks[":id"].$get({ param: { id } }));
      if (gone) say("The server is back.");
      gone = false;
    } catch (thrown) {
      if (!(thrown instanceof CcwError) || thrown.code !== "unavailable") stop.abort(thrown);
      else if (!gone) {
        gone = true;
        say("The server is gone. Waiting for it; the task's sandbox goes on without it.");
      }
    }
  }, checkMs);
  return { close: () => clearInterval(timer) };
}

function stateOf({ body }: TaskEvent): TaskStateKind | undefined {
  return body.kind === "state" ? taskStateKinds.find((kind) => kind === body.state) : undefined;
}
