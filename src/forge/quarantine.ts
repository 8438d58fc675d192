import { createReadStream } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { CcwError } from "../domain/errors.ts";
import { printable } from "../domain/push-policy.ts";
import { createGit, ignoredFlaws, repositorySettings } from "./git.ts";
import { busyFault, type Fault } from "./git-answers.ts";
import { limitedCommand } from "./git-limits.ts";
import { startGitProcess } from "./git-process.ts";

/**
 * Where a pack is looked at before it is sent to a forge: unpacked beside what the appliance has of the repository,
 * checked by git, and asked whether the branch only moves forward. What is sent on is the pack that was checked.
 */
export interface Quarantine {
  judge(push: {
    /** The repository and the ref: one push of a branch is in here at a time, another is refused meanwhile. */
    branch: string;
    /** A bare repository that holds `oldId`: see QuarantineBase. */
    known: string;
    /** Where the branch stands at the forge, and where it is to stand. */
    oldId: string;
    newId: string;
    pack: AsyncIterable<Uint8Array>;
    signal: AbortSignal;
  }): Promise<Verdict>;
}

export type Verdict =
  | { kind: "refused"; fault: Fault }
  | {
      kind: "forward";
      bytes: number;
      pack(): AsyncIterable<Uint8Array>;
      /** Removes the quarantine; to be called once the pack was sent, or will not be. */
      release(): Promise<void>;
    };

/** What the appliance has of a forge's repositories. */
export interface QuarantineBase {
  /**
   * A bare repository of this machine that holds the commit, and as far as can be all that the forge's branches hold
   * now: packs leave out what the client knows to be there. It is only read. Rejects with a CcwError.
   */
  folderWith(repository: string, commit: string, signal: AbortSignal): Promise<string>;
}

/** A kilobyte of deltas can ask for gigabytes of memory; see `core.bigFileThreshold`. */
const allocLimit = "512m";
/** Of all objects at once: a few in each thread, and the list of them. */
const memoryBytes = 2 * 1024 ** 3;
const threads = Math.min(2, availableParallelism());
const idleMs = 5 * 60_000;
const maxDrainBytes = 256 * 1024 * 1024;

/** Removes what an earlier server left in `folder`, which is nobody else's. */
export async function openQuarantine(options: { folder: string; maxPackBytes: number }): Promise<Quarantine> {
  const { folder, maxPackBytes } = options;
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const git = createGit();

  async function take(
    path: string,
    pack: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const strict = `--strict=${ignoredFlaws.map((flaw) => `${flaw}=ignore`).join(",")}`;
    const child = startGitProcess({
      argv: limitedCommand({ memoryBytes }, [
        ...[git.executable, `--git-dir=${path}`, "index-pack", "--stdin", "--fix-thin", strict],
        ...[`--threads=${threads}`, `--max-input-size=${maxPackBytes}`],
      ]),
      environment: {
        ...git.environment(repositorySettings),
        GIT_ALLOC_LIMIT: allocLimit,
        GIT_NO_REPLACE_OBJECTS: "1",
      },
      ...{ signal, idleMs, maxDrainBytes },
    });
    child.feed(pack);
    for await (const _ of { [Symbol.asyncIterator]: () => child.output() }) {
      // The name of the pack; there is one.
    }
    const { exitCode, stderr, failure } = await child.ended;
    if (failure !== undefined) throw failure;
    return exitCode === 0 ? undefined : stderr;
  }

  async function judge(
    path: string,
    { known, oldId, newId, pack, signal }: Parameters<Quarantine["judge"]>[0],
  ): Promise<Verdict> {
    const format = newId.length === 64 ? "sha256" : "sha1";
    const init = ["init", "--quiet", "--bare", "--template=", `--object-format=${format}`, "--", path];
    await git.must(init);
    await Bun.write(join(path, "objects/info/alternates"), `${join(known, "objects")}\n`);
    const words = await take(path, pack, signal);
    if (words !== undefined) return { kind: "refused", fault: packFault(words, [path, known], maxPackBytes) };
    const inQuarantine = (...args: string[]) =>
      git.run([`--git-dir=${path}`, "--no-replace-objects", ...args]);
    const type = await inQuarantine("cat-file", "-t", newId);
    if (Buffer.from(type.stdout).toString().trim() !== "commit") {
      return {
        kind: "refused",
        fault: fault("not a commit", "Push refused: what is pushed is not a commit."),
      };
    }
    const { exitCode, stderr } = await inQuarantine("merge-base", "--is-ancestor", oldId, newId);
    if (exitCode === 1) return { kind: "refused", fault: rewriteFault };
    if (exitCode !== 0) throw new Error(`git could not compare two commits: ${stderr.trim()}`);
    const [file] = (await readdir(join(path, "objects/pack"))).filter((name) => name.endsWith(".pack"));
    if (file === undefined) throw new Error("git has kept no pack");
    const full = join(path, "objects/pack", file);
    return {
      kind: "forward",
      bytes: (await stat(full)).size,
      pack: () => createReadStream(full, { highWaterMark: 256 * 1024 }),
      release: () => rm(path, { recursive: true, force: true }),
    };
  }

  const underWay = new Set<string>();
  return {
    async judge(push) {
      if (underWay.has(push.branch)) return { kind: "refused", fault: busyFault };
      underWay.add(push.branch);
      let path: string | undefined;
      let kept = false;
      try {
        path = await mkdtemp(join(folder, "push-"));
        const verdict = await judge(path, push);
        if (verdict.kind === "refused") return verdict;
        kept = true;
        const release = () => verdict.release().finally(() => underWay.delete(push.branch));
        return { ...verdict, release };
      } catch (thrown) {
        if (thrown instanceof Error && "code" in thrown && thrown.code === "ENOSPC") throw diskFull(thrown);
        throw thrown;
      } finally {
        if (!kept) {
          if (path !== undefined) await rm(path, { recursive: true, force: true });
          underWay.delete(push.branch);
        }
      }
    },
  };
}

const fault = (reason: string, ...lines: string[]): Fault => ({ status: 403, reason, lines });

const diskFull = (cause: Error) =>
  new CcwError("no_space", "The appliance's disk is full.", "The operator has to free some space.", {
    cause,
  });

const rewriteFault = fault(
  "non-fast-forward",
  "Push refused: this push would rewrite the branch, and a task may only move its branch forward.",
  "Fetch first, put your work on top of what is there, and push again without --force.",
);

/** What git found wrong, in its words, without the appliance's own paths. */
function packFault(stderr: string, paths: string[], maxPackBytes: number): Fault {
  if (/No space left on device|Disk quota exceeded/.test(stderr)) {
    return {
      ...fault(
        "no space left",
        "Push refused: the appliance's disk is full.",
        "The operator has to free some space.",
      ),
      status: 507,
    };
  }
  if (/exceeds maximum allowed size|pack is larger than/.test(stderr)) {
    return fault("too large", `Push refused: the pack exceeds maximum allowed size (${maxPackBytes} bytes).`);
  }
  const words = paths
    .reduce((text, path) => text.replaceAll(path, "…"), stderr)
    .split("\n")
    .filter((line) => /^(fatal|error): /.test(line))
    .slice(0, 5)
    .map(printable);
  const missing = /unresolved delta|did not receive expected object|missing|broken links/.test(stderr);
  return fault(
    "unpacker error",
    "Push refused: git does not accept the pack.",
    ...words,
    ...(missing ? ["If your branch is in order, fetch first and push again with --no-thin."] : []),
  );
}
