import { readdirSync, readFileSync } from "node:fs";

/** What this machine's kernel knows of processes and mounts. */

/** What each process of this machine was started with; those that end meanwhile are left out. */
export function commandLines(): { pid: number; line: string }[] {
  return startedWith("cmdline");
}

/** Other processes of this machine that have the word in their command line, or in the variables they were started with. */
export function pidsWith(word: string, file: "cmdline" | "environ" = "cmdline"): number[] {
  return startedWith(file)
    .filter(({ pid, line }) => pid !== process.pid && line.includes(word))
    .map(({ pid }) => pid);
}

function startedWith(file: "cmdline" | "environ"): { pid: number; line: string }[] {
  return readdirSync("/proc").flatMap((name) => {
    const pid = Number(name);
    if (!(pid > 0)) return [];
    try {
      return [{ pid, line: readFileSync(`/proc/${pid}/${file}`, "utf8").replaceAll("\0", " ") }];
    } catch {
      return [];
    }
  });
}

/** The deepest first. */
export function mountsBelow(folder: string): string[] {
  return readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "")
    .filter((point) => point.startsWith(`${folder}/`))
    .reverse();
}

export function endNow(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {} // it has ended by itself
}
