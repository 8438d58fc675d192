import { closeSync, fstatSync, openSync, readdirSync, readSync } from "node:fs";
import { join } from "node:path";

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
export function conversationHolds(path: string, uuid: string, lastBytes = Number.POSITIVE_INFINITY): boolean {
  const needle = `uuid":"${uuid}"`;
  let file: number;
  try {
    file = openSync(path, "r");
  } catch {
    return false;
  }
  try {
    const chunk = Buffer.alloc(1024 ** 2);
    let at = Math.max(0, fstatSync(file).size - lastBytes);
    for (let kept = 0; ; ) {
      const read = readSync(file, chunk, kept, chunk.length - kept, at);
      if (read === 0) return false;
      at += read;
      if (chunk.subarray(0, kept + read).includes(needle)) return true;
      const tail = Math.min(needle.length, kept + read);
      chunk.copyWithin(0, kept + read - tail, kept + read);
      kept = tail;
    }
  } finally {
    closeSync(file);
  }
}
