import { Database } from "bun:sqlite";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { run } from "../e2e/appliance.ts";
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

export function readStore(dataFolder: string): Omit<Evidence, "conversations" | "leftOvers"> {
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

function readConversation(jsonl: string): Omit<Conversation, "taskId"> {
  const read = { toolUses: [] as string[], toolResults: [] as string[], marks: [] as string[] };
  for (const line of jsonl.split("\n")) {
    if (line === "") continue;
    const { type, isSidechain, message, attachment } = recordSchema.parse(JSON.parse(line));
    if (isSidechain) continue;
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

async function containersOf({ engine: { docker }, dataFolder }: Stage) {
  const all = await docker.listContainers({ all: true, filters: { label: ["ccw.appliance"] } });
  return all
    .filter(({ Mounts }) => Mounts.some(({ Source }) => Source.startsWith(`${dataFolder}/`)))
    .map(({ Id, Labels, State }) => ({
      ...{ id: Id, state: State },
      ...{ taskId: Labels["ccw.task"] ?? "", sandboxId: Labels["ccw.sandbox"] ?? "" },
    }));
}

/** Waits until the sandboxes of tasks that rest are stopped and those given up are removed; for at most so long. */
export async function settle(stage: Stage, seconds: number): Promise<void> {
  const end = Date.now() + seconds * 1000;
  while (Date.now() < end && (await leftOversOf(stage)).length > 0) await Bun.sleep(1000);
}

/** Whatever lies about beside the sleeping containers of tasks that rest. The server runs still. */
export async function leftOversOf(stage: Stage): Promise<string[]> {
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

/** Asked after the server has been stopped. */
export async function leftOversAfter(stage: Stage): Promise<string[]> {
  const { dataFolder, tmpFolder } = stage;
  const mounts = readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "")
    .filter((point) => point.startsWith(`${dataFolder}/`));
  const processes = readdirSync("/proc").flatMap((pid) => {
    try {
      const line = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
      return Number(pid) > 0 && Number(pid) !== process.pid && line.includes(dataFolder)
        ? [`process ${pid}: ${line.slice(0, 200)}`]
        : [];
    } catch {
      return [];
    }
  });
  const unfinished = await run([
    ...["find", dataFolder, "-name", "tmp_*", "-o", "-name", "incoming-*", "-o", "-name", "*.lock"],
    ...["-o", "-name", "*.new"],
  ]);
  return [
    ...mounts.map((point) => `mount: ${point}`),
    ...processes,
    ...(existsSync(tmpFolder) ? readdirSync(tmpFolder).map((name) => `temporary file: ${name}`) : []),
    ...unfinished.out
      .split("\n")
      .filter(Boolean)
      .map((path) => `unfinished: ${path.slice(dataFolder.length + 1)}`),
  ];
}
