import { readdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { fileHolds } from "./file-holds.ts";

/** Where the CLI keeps conversations: `projects/<its folder, every non-alphanumeric as ->/<session id>.jsonl`. */

type Env = Record<string, string>;

const projectsIn = (env: Env) =>
  join(env["CLAUDE_CONFIG_DIR"] ?? join(env["HOME"] ?? "/root", ".claude"), "projects");

export function conversationHome(env: Env, cwd: string): string {
  return join(projectsIn(env), cwd.replace(/[^A-Za-z0-9]/g, "-"));
}

export function conversationFolder(env: Env, sessionId: string): string | undefined {
  const projects = projectsIn(env);
  try {
    const name = readdirSync(projects).find((folder) =>
      readdirSync(join(projects, folder)).includes(`${sessionId}.jsonl`),
    );
    return name === undefined ? undefined : join(projects, name);
  } catch {
    return undefined;
  }
}

/**
 * Whether the file names the message, as its own or as one that was taken into a turn (`source_uuid`). The CLI's echo
 * says too little: it comes before the file is written, and what is taken into a turn counts again after `--resume`.
 */
export function conversationHolds(path: string, uuid: string, lastBytes?: number): boolean {
  return fileHolds(path, `uuid":"${uuid}"`, lastBytes);
}

/** The conversation of another task goes on under this one's name; the agent takes it as it is, whatever id it holds. */
export function nameAfter(sessionId: string, folder: string): void {
  const names = readdirSync(folder);
  if (names.includes(`${sessionId}.jsonl`)) return;
  const other = names.find((name) => name.endsWith(".jsonl"))?.slice(0, -".jsonl".length);
  if (other === undefined) return;
  renameSync(join(folder, `${other}.jsonl`), join(folder, `${sessionId}.jsonl`));
  if (names.includes(other)) renameSync(join(folder, other), join(folder, sessionId));
}
