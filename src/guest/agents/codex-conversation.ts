import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ConversationFiles } from "./agent.ts";
import { fileHolds } from "./file-holds.ts";

/**
 * Codex keeps conversations as `sessions/<year>/<month>/<day>/rollout-<time>-<thread id>.jsonl` in its home folder, and
 * names them itself. A sandbox has one: which it is stands in a file beside them, so that it is found after the agent's
 * death, and after both were restored elsewhere. What else lies in the home folder is made anew from these files.
 */

type Env = Record<string, string>;

const sessions = "sessions";
const threadFile = "ccw-thread";

export const codexHome = (env: Env): string => join(env["HOME"] ?? "/root", ".codex");

/** The conversation of this sandbox, by Codex's own name; undefined where there is none yet. */
export function keptThread(env: Env): string | undefined {
  try {
    const id = readFileSync(join(codexHome(env), threadFile), "utf8").trim();
    return /^[0-9a-f-]{36}$/.test(id) && rolloutOf(env, id) !== undefined ? id : undefined;
  } catch {
    return undefined;
  }
}

export function keepThread(env: Env, id: string): void {
  mkdirSync(codexHome(env), { recursive: true });
  writeFileSync(join(codexHome(env), threadFile), `${id}\n`);
}

export function conversationOf(env: Env): ConversationFiles | undefined {
  const folder = codexHome(env);
  const isThere = keptThread(env) !== undefined && existsSync(join(folder, sessions));
  return isThere ? { folder, names: [sessions, threadFile] } : undefined;
}

/** Whether the conversation has the prompt that was given under this key. */
export function rolloutHolds(env: Env, key: string): boolean {
  const id = keptThread(env);
  const path = id === undefined ? undefined : rolloutOf(env, id);
  return path !== undefined && fileHolds(path, `"client_id":${JSON.stringify(key)}`);
}

/** Whether the end of this turn is written down. */
export function rolloutEnds(env: Env, threadId: string, turnId: string): boolean {
  const path = rolloutOf(env, threadId);
  if (path === undefined) return false;
  const lines = lastLines(path);
  return lines.some((line) => /"type":"(task_complete|turn_aborted)"/.test(line) && line.includes(turnId));
}

/** With room for the last message, which the end of a turn repeats. */
const lastBytes = 4 * 1024 ** 2;

function lastLines(path: string): string[] {
  try {
    return readFileSync(path).subarray(-lastBytes).toString("utf8").split("\n").slice(-20);
  } catch {
    return [];
  }
}

function rolloutOf(env: Env, id: string): string | undefined {
  const folder = join(codexHome(env), sessions);
  try {
    const name = readdirSync(folder, { recursive: true, encoding: "utf8" }).find((path) =>
      path.endsWith(`-${id}.jsonl`),
    );
    return name === undefined ? undefined : join(folder, name);
  } catch {
    return undefined;
  }
}
