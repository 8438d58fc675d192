import { Database } from "bun:sqlite";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { messageOf } from "../../src/domain/errors.ts";
import { mountsBelow, pidsWith } from "../machine.ts";
import type { Stage } from "./stage.ts";
import { marksIn } from "./witness.ts";

/** What is found when all is over: the store's rows, the agents' own records, and what lies about. */
export interface Evidence {
  tasks: { id: string; state: string }[];
  prompts: { id: string; taskId: string; text: string; state: string; now: number; person: string }[];
  events: StoredEvent[];
  sandboxes: { id: string; taskId: string; acked: number; endedAt: number | null; busyWith: string | null }[];
  commands: { sandboxId: string; n: number; kind: string; promptId: string | null }[];
  conversations: Conversation[];
  leftOvers: string[];
  /** What servers wrote to their log of requests that they could not answer for a defect. */
  defects: string[];
}

export interface StoredEvent {
  seq: number;
  taskId: string;
  sandboxId: string | null;
  n: number | null;
  at: number;
  kind: string;
  body: Record<string, unknown>;
}

/** What an agent wrote down by itself, in the container that its task has now. */
export interface Conversation {
  taskId: string;
  toolUses: string[];
  toolResults: string[];
  /** Of what people said. */
  marks: string[];
}

export function readStore(dataFolder: string): Omit<Evidence, "conversations" | "leftOvers" | "defects"> {
  const db = new Database(join(dataFolder, "ccw.sqlite"), { readonly: true });
  const all = <Row>(sql: string) => db.query<Row, []>(sql).all();
  try {
    const events = all<Omit<StoredEvent, "body"> & { body: string }>(
      `SELECT seq, task_id AS taskId, sandbox_id AS sandboxId, n, at, kind, body FROM events ORDER BY seq`,
    );
    return {
      tasks: all("SELECT id, state_kind AS state FROM tasks"),
      prompts: all("SELECT id, task_id AS taskId, text, state, now, person FROM prompts ORDER BY rowid"),
      events: events.map(({ body, ...event }) => ({ ...event, body: objectSchema.parse(JSON.parse(body)) })),
      sandboxes: all(
        "SELECT id, task_id AS taskId, acked, ended_at AS endedAt, busy_with AS busyWith FROM sandboxes ORDER BY rowid",
      ),
      commands: all(
        `SELECT sandbox_id AS sandboxId, n, json_extract(body, '$.kind') AS kind,
         json_extract(body, '$.promptId') AS promptId FROM commands ORDER BY sandbox_id, n`,
      ),
    };
  } finally {
    db.close();
  }
}

const objectSchema = z.record(z.string(), z.unknown());
const block = z.object({
  type: z.string(),
  id: z.string().optional(),
  tool_use_id: z.string().optional(),
  text: z.string().optional(),
});
const recordSchema = z.object({
  type: z.string(),
  isSidechain: z.boolean().default(false),
  message: z.object({ content: z.union([z.string(), z.array(block)]) }).optional(),
  attachment: z.unknown().optional(),
});

/** The containers' own copies of the conversations, from those that sleep. */
export async function readConversations(stage: Stage): Promise<Conversation[]> {
  const found: Conversation[] = [];
  for (const { taskId, id } of await containersOf(stage)) {
    const archive = await stage.engine.docker
      .getContainer(id)
      .getArchive({ path: "/root/.claude/projects" })
      .catch(() => undefined);
    if (archive === undefined) continue;
    const tar = Bun.spawn(["tar", "-xO", "--wildcards", "projects/*/*.jsonl"], {
      stdio: ["pipe", "pipe", "ignore"],
    });
    for await (const chunk of archive) {
      tar.stdin.write(chunk);
      await tar.stdin.flush();
    }
    await tar.stdin.end();
    found.push({ taskId, ...readConversation(await new Response(tar.stdout).text()) });
  }
  return found;
}

export function readConversation(jsonl: string): Omit<Conversation, "taskId"> {
  const read = { toolUses: [] as string[], toolResults: [] as string[], marks: [] as string[] };
  for (const line of jsonl.split("\n")) {
    const record = recordIn(line);
    if (record === undefined || record.isSidechain) continue;
    const { type, message, attachment } = record;
    const content = message?.content ?? [];
    for (const each of typeof content === "string" ? [{ type: "text", text: content }] : content) {
      if (each.type === "tool_use" && "id" in each && each.id !== undefined) read.toolUses.push(each.id);
      if (each.type === "tool_result" && "tool_use_id" in each && each.tool_use_id !== undefined)
        read.toolResults.push(each.tool_use_id);
      if (type === "user") read.marks.push(...marksIn(each.text ?? ""));
    }
    // A prompt that was taken into a turn.
    if (type === "attachment") read.marks.push(...new Set(marksIn(JSON.stringify(attachment))));
  }
  return read;
}

/** Undefined for half a line: the agent was killed as it wrote, and does not read it any more than this does. */
function recordIn(line: string): z.infer<typeof recordSchema> | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  return recordSchema.parse(value);
}

async function containersOf({ engine: { docker }, dataFolder }: Stage) {
  const all = await docker.listContainers({ all: true, filters: { label: ["ccw.appliance"] } });
  return all
    .filter(({ Mounts }) => Mounts.some(({ Source }) => Source.startsWith(`${dataFolder}/`)))
    .map(({ Id, Labels, State }) => ({
      ...{ id: Id, state: State },
      ...{ taskId: Labels["ccw.task"] ?? "", sandboxId: Labels["ccw.sandbox"] ?? "" },
    }));
}

/**
 * Whatever lies about beside the sleeping containers of tasks that rest, while the server runs still. The server looks for it
 * every minute, and an engine on a busy machine takes its time: it is looked at again until nothing is left, for so long.
 */
export async function leftOversOf(stage: Stage, seconds: number): Promise<string[]> {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    // An engine may fail to list what is removed as it looks.
    const found = await lyingAbout(stage).catch((thrown: unknown) => [`the engine: ${messageOf(thrown)}`]);
    if (found.length === 0 || performance.now() >= end) return found;
    await Bun.sleep(1000);
  }
}

async function lyingAbout(stage: Stage): Promise<string[]> {
  const { sandboxes } = readStore(stage.dataFolder);
  const current = new Set(sandboxes.filter(({ endedAt }) => endedAt === null).map(({ id }) => id));
  const containers = await containersOf(stage);
  return [
    ...containers
      .filter(({ state }) => state === "running")
      .map(({ taskId }) => `container awake: ${taskId}`),
    ...containers
      .filter(({ sandboxId }) => !current.has(sandboxId))
      .map(({ taskId, sandboxId }) => `container of a sandbox that has ended: ${sandboxId} of ${taskId}`),
    ...readdirSync(join(stage.dataFolder, "doors")).map((name) => `door: ${name}`),
  ];
}

/** The beginnings and ends of the names of what is being written, and goes when it is whole. */
const unfinishedNames = ["tmp_*", ".tmp-*", ".new-*", ".new-gone-*", "incoming-*", "merge-*"];
const unfinishedEnds = ["*.lock", "*.new", "*.tmp", "*.part"];

/** Asked after the server has been stopped. */
export async function leftOversAfter({
  dataFolder,
  tmpFolder,
}: Pick<Stage, "dataFolder" | "tmpFolder">): Promise<string[]> {
  const names = [...unfinishedNames, ...unfinishedEnds].flatMap((name) => ["-o", "-name", name]);
  const find = Bun.spawn(["find", dataFolder, "-type", "s", ...names], { stderr: "ignore" });
  const unfinished = (await new Response(find.stdout).text()).split("\n").filter(Boolean);
  // It names the folder too, and would be found among the processes.
  await find.exited;
  const sockets = readFileSync("/proc/net/unix", "utf8")
    .split("\n")
    .map((line) => line.slice(line.indexOf("/")))
    .filter((path) => path.startsWith(`${dataFolder}/`));
  return [
    ...mountsBelow(dataFolder).map((point) => `mount: ${point}`),
    ...[...new Set(sockets)].map((path) => `socket that is listened at: ${path}`),
    ...processesOf(dataFolder),
    ...(existsSync(tmpFolder) ? readdirSync(tmpFolder).map((name) => `temporary file: ${name}`) : []),
    ...unfinished.map((path) => `unfinished: ${path.slice(dataFolder.length + 1)}`),
  ];
}

/** Those that were started with the folder's name, and those that see its disk from a sandbox of their own. */
function processesOf(dataFolder: string): string[] {
  const disk = /^\d+ \d+ (\S+)/.exec(mountOf(dataFolder, "/proc/self/mountinfo"))?.[1];
  const own = readlinkSync("/proc/self/ns/mnt");
  const named = new Set(pidsWith(dataFolder));
  return readdirSync("/proc").flatMap((pid) => {
    try {
      const sees = () =>
        disk !== undefined &&
        readlinkSync(`/proc/${pid}/ns/mnt`) !== own &&
        readFileSync(`/proc/${pid}/mountinfo`, "utf8")
          .split("\n")
          .map((line) => line.split(" "))
          // At its own place it is a copy of this machine's mounts, which others make for themselves.
          .some(([, , device, , point = ""]) => device === disk && !point.startsWith(dataFolder));
      if (!(Number(pid) > 0) || !(named.has(Number(pid)) || sees())) return [];
      const line = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
      // It has ended, and its parent has not looked yet.
      return line === "" ? [] : [`process ${pid}: ${line.slice(0, 200)}`];
    } catch {
      return [];
    }
  });
}

/** The line of a mount's own entry in a list of mounts (proc_pid_mountinfo(5)). */
function mountOf(point: string, file: string): string {
  return (
    readFileSync(file, "utf8")
      .split("\n")
      .find((line) => line.split(" ")[4] === point) ?? ""
  );
}
