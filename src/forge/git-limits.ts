import { totalmem } from "node:os";

/** What a git may take of this machine that reads what somebody else has packed. Each program that it starts has it anew. */
export interface GitLimits {
  /** Memory of its own; what it maps of files is not counted (setrlimit(2), RLIMIT_DATA). */
  memoryBytes: number;
  /** The largest file it may write; it is killed past that. */
  fileBytes?: number | undefined;
  /** Where its process id is written, for a server that comes after this one. */
  pidFile?: string | undefined;
}

/** A lower limit that is in force already stays. Where memory runs out all the same, the kernel takes this process first. */
const shell = [
  'ulimit -f "$1"',
  '{ ulimit -d "$2" 2>/dev/null || :; }',
  '{ [ -z "$3" ] || echo $$ > "$3"; }',
  "{ { echo 1000 > /proc/self/oom_score_adj; } 2>/dev/null || :; }",
  'shift 3 && exec "$@"',
].join(" && ");

/** The same command, within limits. */
export function limitedCommand(
  { memoryBytes, fileBytes, pidFile }: GitLimits,
  argv: readonly string[],
): string[] {
  // POSIX: in blocks of 512 bytes; memory in KiB.
  const blocks = fileBytes === undefined ? "unlimited" : String(Math.ceil(fileBytes / 512));
  const kibibytes = String(Math.ceil(memoryBytes / 1024));
  return ["/bin/sh", "-c", shell, "sh", blocks, kibibytes, pidFile ?? "", ...argv];
}

/** Half of what there is, but a GiB at least: git lists every object of a repository in memory, some 100 bytes for each. */
export function memoryForGit(): number {
  // 0 or more than there is where nothing constrains it.
  const constrained = process.constrainedMemory() || Number.POSITIVE_INFINITY;
  return Math.max(1024 ** 3, Math.floor(Math.min(totalmem(), constrained) / 2));
}

/** Whether git's words say that it had not got the memory it wanted. */
export const ranOutOfMemory = (words: string): boolean =>
  /^fatal: (Out of memory|attempting to allocate|.*mmap failed: Cannot allocate)/m.test(words);
