import { dirname } from "node:path";
import { CcwError } from "../domain/errors.ts";

/** Git as a child process: arguments as a list, an environment of our own, bounded in time and output. */

export interface GitRun {
  exitCode: number;
  stdout: Uint8Array;
  /** Whether git had more to say than `maxBytes`; it was ended then. */
  truncated: boolean;
  /** The end of what git said, at most 4 KiB. */
  stderr: string;
}

export interface GitRunOptions {
  input?: Uint8Array;
  /** Default 8 MiB. */
  maxBytes?: number;
  /** Default 60 s; past it git is ended and the run rejects with `unavailable`. */
  timeoutMs?: number;
}

export interface Git {
  executable: string;
  /** Everything git may see of the world, with these settings over any that a repository brings. */
  environment(settings: readonly GitSetting[]): Record<string, string>;
  run(args: readonly string[], options?: GitRunOptions): Promise<GitRun>;
  /** As `run`, but an exit code other than 0 rejects, with git's own words. */
  must(args: readonly string[], options?: GitRunOptions): Promise<GitRun>;
}

export type GitSetting = readonly [name: string, value: string];

/** What real histories carry from old tools, and what harms nobody (git-fsck(1), "fsck messages"). */
export const ignoredFlaws = ["badTimezone", "missingSpaceBeforeDate", "zeroPaddedFilemode"] as const;

/**
 * Settings of every hosted repository. They stand in its config for whoever runs git there by hand, and are
 * given to every git that we run, so that a changed config changes nothing.
 */
export const repositorySettings: readonly GitSetting[] = [
  // Nothing that was pushed or left in a repository ever runs on this machine.
  ["core.hooksPath", "/dev/null"],
  ["receive.fsckObjects", "true"],
  ["transfer.fsckObjects", "true"],
  ...ignoredFlaws.map((flaw): GitSetting => [`receive.fsck.${flaw}`, "ignore"]),
  ["uploadpack.allowFilter", "true"],
  // Filters that cost little; `sparse:oid` walks every tree for whoever asks.
  ["uploadpackfilter.allow", "false"],
  ["uploadpackfilter.blob:none.allow", "true"],
  ["uploadpackfilter.blob:limit.allow", "true"],
  ["uploadpackfilter.tree.allow", "true"],
  ["uploadpack.allowAnySHA1InWant", "false"],
  ["receive.advertisePushOptions", "false"],
  // Looking for deltas between large files takes seconds a file, at every clone, and finds next to none.
  ["core.bigFileThreshold", "4m"],
  // Objects may be shared with sandboxes' checkouts: whoever prunes must know about those, and git does not.
  ["gc.auto", "0"],
  ["receive.autogc", "false"],
];

/** Finds git on this machine; throws `unavailable` with what to install. */
export function createGit(): Git {
  const executable = Bun.which("git");
  if (executable === null) {
    throw new CcwError("unavailable", "git is not installed on this machine.", "Run: apt-get install git");
  }
  const path = [...new Set([dirname(executable), "/usr/local/bin", "/usr/bin", "/bin"])].join(":");

  function environment(settings: readonly GitSetting[]): Record<string, string> {
    // The folders may belong to another account than the server's; we never run what they hold.
    const all: GitSetting[] = [["safe.directory", "*"], ...settings];
    return {
      PATH: path,
      HOME: "/nonexistent",
      LC_ALL: "C",
      GIT_CONFIG_NOSYSTEM: "1",
      GIT_CONFIG_GLOBAL: "/dev/null",
      GIT_ATTR_NOSYSTEM: "1",
      GIT_TERMINAL_PROMPT: "0",
      GIT_CONFIG_COUNT: String(all.length),
      ...Object.fromEntries(
        all.flatMap(([name, value], index) => [
          [`GIT_CONFIG_KEY_${index}`, name],
          [`GIT_CONFIG_VALUE_${index}`, value],
        ]),
      ),
    };
  }

  async function run(args: readonly string[], options: GitRunOptions = {}): Promise<GitRun> {
    const child = Bun.spawn([executable ?? "git", ...args], {
      cwd: "/",
      env: environment(repositorySettings),
      stdin: options.input ?? "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill("SIGKILL");
    }, options.timeoutMs ?? 60_000);
    try {
      const [head, stderr] = await Promise.all([
        headOf(child.stdout, options.maxBytes ?? 8 * 1024 * 1024, () => child.kill()),
        endOf(child.stderr),
      ]);
      const exitCode = await child.exited;
      if (timedOut) {
        throw new CcwError("unavailable", `git ${args[0]} took too long and was ended.`, "Try again later.");
      }
      return { exitCode: head.truncated ? 0 : exitCode, stderr, ...head };
    } finally {
      clearTimeout(timer);
    }
  }

  return {
    executable,
    environment,
    run,
    async must(args, options) {
      const result = await run(args, options);
      if (result.exitCode === 0) return result;
      const words = result.stderr.trim();
      if (words.includes("No space left on device")) {
        throw new CcwError("no_space", "The disk that holds the repositories is full.", "Free some space.");
      }
      throw new Error(`git ended with exit code ${result.exitCode}: ${words}`);
    },
  };
}

/** The end of a stream, at most 4 KiB, with the rest read and dropped. */
export async function endOf(stream: ReadableStream<Uint8Array>): Promise<string> {
  let end: Uint8Array = new Uint8Array();
  for await (const chunk of stream) end = Buffer.concat([end, chunk]).subarray(-4096);
  return Buffer.from(end).toString();
}

async function headOf(
  stream: ReadableStream<Uint8Array>,
  maxBytes: number,
  stop: () => void,
): Promise<{ stdout: Uint8Array; truncated: boolean }> {
  const chunks: Uint8Array[] = [];
  let held = 0;
  for await (const chunk of stream) {
    chunks.push(chunk);
    held += chunk.length;
    if (held > maxBytes) {
      stop();
      break;
    }
  }
  return { stdout: Buffer.concat(chunks).subarray(0, maxBytes), truncated: held > maxBytes };
}
