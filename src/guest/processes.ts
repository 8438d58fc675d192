import { readdirSync, readFileSync } from "node:fs";
import type { Subprocess } from "bun";

/** The guest's own children: what the runtime waits for itself, and the reaper leaves alone. */
export interface Processes {
  /** Starts `command` in a session of its own, so that it can be ended with all it has started. Throws ENOENT. */
  spawn(command: readonly string[], options: SpawnOptions): Child;
  /** Ends a child and all of its descendants, whatever process groups they have made for themselves. */
  killTree(pid: number): void;
  /** Asks a child to end (SIGTERM), and ends it after `graceMs`; what it had started, in any case. */
  end(child: Child, graceMs: number): Promise<void>;
  owns(pid: number): boolean;
}

export interface SpawnOptions {
  cwd: string;
  env: Record<string, string>;
}
export type Child = Subprocess<"pipe", "pipe", "pipe">;

export function createProcesses(): Processes {
  const own = new Set<number>();
  const killTree = (pid: number) => {
    for (const each of [...descendantsOf(pid), pid]) kill(each);
    // What has lost its parent meanwhile is still in the child's own process group.
    kill(-pid);
  };
  return {
    spawn(command, { cwd, env }) {
      const child = Bun.spawn([...command], {
        cwd,
        env,
        stdin: "pipe",
        stdout: "pipe",
        stderr: "pipe",
        detached: true,
      });
      own.add(child.pid);
      const forget = () => own.delete(child.pid);
      child.exited.then(forget, forget);
      return child;
    },
    killTree,
    async end(child, graceMs) {
      const started = descendantsOf(child.pid);
      child.kill("SIGTERM");
      await Promise.race([child.exited, Bun.sleep(graceMs)]);
      for (const each of started) kill(each);
      killTree(child.pid);
    },
    owns: (pid) => own.has(pid),
  };
}

/** Ends everything but this process: in a sandbox, where the guest is process 1, nothing else has a right to live. */
export function killAllOthers(): void {
  if (process.pid === 1) kill(-1);
}

export interface ProcessEntry {
  pid: number;
  parent: number;
  /** One letter, as in proc(5): `Z` is a zombie. */
  state: string;
}

export function listProcesses(): ProcessEntry[] {
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      return [{ pid: Number(name), ...readStat(`/proc/${name}/stat`) }];
    } catch {
      return []; // gone since the folder was read
    }
  });
}

/** Of a process or a thread of one. Throws where it is gone. */
export function readStat(path: string): { state: string; parent: number } {
  const stat = readFileSync(path, "latin1");
  // The name, in parentheses, may hold anything: the fields follow the last one.
  const [state = "", parent = ""] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return { state, parent: Number(parent) };
}

/** Parents before their children. */
export function descendantsOf(root: number): number[] {
  const all = listProcesses();
  const found: number[] = [];
  const queue = [root];
  for (let parent = queue.shift(); parent !== undefined; parent = queue.shift()) {
    for (const entry of all) {
      if (entry.parent === parent) {
        found.push(entry.pid);
        queue.push(entry.pid);
      }
    }
  }
  return found;
}

const kill = (pid: number) => sendSignal(pid, "SIGKILL");

export function sendSignal(pid: number, signal: "SIGKILL" | "SIGSTOP" | "SIGCONT"): void {
  try {
    process.kill(pid, signal);
  } catch {
    // gone already
  }
}
