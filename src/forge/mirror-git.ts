import { readdirSync, readFileSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { bytesText } from "../domain/amounts.ts";
import { CcwError } from "../domain/errors.ts";
import { createGit, type GitSetting } from "./git.ts";
import { limitedCommand, memoryForGit, ranOutOfMemory } from "./git-limits.ts";
import { startGitProcess } from "./git-process.ts";

/** Git at work on a mirror: ended with its signal, bounded in time and in what it writes. */
export interface MirrorGit {
  /** Rejects with `unavailable` past the time, `no_space`, or the signal's reason. */
  run(args: readonly string[], options: MirrorRun): Promise<MirrorRunEnd>;
}

export interface MirrorRun {
  signal: AbortSignal;
  settings?: readonly GitSetting[];
  /** Default 1 minute. */
  timeoutMs?: number;
  /** The largest file it may write; it is killed past that. */
  maxFileBytes?: number;
  /** Only with what nobody else wants of the processor. */
  background?: boolean;
  /** Where its process id is written, for a server that comes after this one. */
  pidFile?: string;
}

export interface MirrorRunEnd {
  exitCode: number;
  stdout: string;
  /** The end of what git said, at most 4 KiB. */
  stderr: string;
}

const mirrorSettings: readonly GitSetting[] = [
  // Nothing that a remote repository holds ever runs on this machine.
  ["core.hooksPath", "/dev/null"],
  // Objects are borrowed; and packs, unlike loose objects, are checked and carried away as a whole.
  ["gc.auto", "0"],
  ["maintenance.auto", "false"],
  ["fetch.unpackLimit", "1"],
  // Histories of long ago carry flaws, and their forge has taken them; a mirror never checks anything out.
  ["fetch.fsckObjects", "false"],
  ["core.bigFileThreshold", "4m"],
  // Each thread has objects of its own in memory: 96 MiB and the one at hand where it reads a pack, a window where it
  // makes one.
  ["pack.threads", String(Math.min(4, availableParallelism()))],
  ["pack.windowMemory", "256m"],
];

const maxOutputBytes = 128 * 1024 ** 2;

/** `memoryBytes`: of each of git's programs; default half of the machine's. A kilobyte of deltas can ask for any amount. */
export function createMirrorGit({ memoryBytes = memoryForGit() } = {}): MirrorGit {
  const git = createGit();
  const nice = Bun.which("nice");
  return {
    async run(args, options) {
      const { signal, settings = [], timeoutMs = 60_000, maxFileBytes, background, pidFile } = options;
      signal.throwIfAborted();
      const low = background === true && nice !== null ? [nice, "-n", "19"] : [];
      const child = startGitProcess({
        argv: limitedCommand({ memoryBytes, fileBytes: maxFileBytes, pidFile }, [
          ...low,
          git.executable,
          ...args,
        ]),
        environment: git.environment([...mirrorSettings, ...settings]),
        signal,
        // Nothing is heard of a fetch before its end, so this bounds the whole of it.
        idleMs: timeoutMs,
        maxDrainBytes: 0,
      });
      child.feed(undefined);
      const chunks: Uint8Array[] = [];
      let held = 0;
      const output = child.output();
      for (let next = await output.next(); next.done !== true; next = await output.next()) {
        held += next.value.length;
        if (held > maxOutputBytes) child.end();
        else chunks.push(next.value);
      }
      const { exitCode, stderr, failure } = await child.ended;
      if (pidFile !== undefined) await rm(pidFile, { force: true });
      signal.throwIfAborted();
      if (failure !== undefined) {
        const minutes = Math.round(timeoutMs / 60_000);
        throw new CcwError("unavailable", `git ${verbOf(args)} took over ${minutes} min and was ended.`);
      }
      if (/No space left on device|Disk quota exceeded/.test(stderr)) throw noSpace();
      if (exitCode !== 0 && ranOutOfMemory(stderr)) {
        throw new CcwError(
          "too_large",
          `git ${verbOf(args)} wants more than the ${bytesText(memoryBytes)} of memory that it may have here, and was ended.`,
          "The repository is too large for this machine, or was made to fill its memory.",
        );
      }
      return { exitCode, stdout: Buffer.concat(chunks).toString(), stderr };
    },
  };
}

export function noSpace(): CcwError {
  return new CcwError(
    "no_space",
    "The disk that holds the mirrors is full.",
    "Free some space in the data folder; what was there before is unharmed.",
  );
}

/** Ends what a server that was killed has left running, if it still works on this folder. */
export async function endOrphan(pidFile: string, folder: string): Promise<void> {
  const pid = Number(await readFile(pidFile, "utf8").catch(() => ""));
  if (!Number.isInteger(pid) || pid <= 1) return;
  try {
    if (readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(folder)) process.kill(-pid, "SIGKILL");
    for (let tries = 0; tries < 100 && groupLives(pid); tries++) await Bun.sleep(20);
  } catch {
    // It is gone already.
  }
  await rm(pidFile, { force: true });
}

function groupLives(group: number): boolean {
  return readdirSync("/proc").some((name) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "utf8");
      // proc(5): state, parent and process group follow the name in parentheses.
      const [state, , owner] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return Number(owner) === group && state !== "Z";
    } catch {
      return false;
    }
  });
}

const verbOf = (args: readonly string[]): string => args.find((each) => !each.startsWith("-")) ?? "";
