import { createHash } from "node:crypto";
import { existsSync, readdirSync } from "node:fs";
import { chmod, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Log } from "../domain/ports.ts";
import type { RemoteRepository } from "../domain/repository.ts";
import type { ObjectFormat } from "./ls-refs.ts";
import type { MirrorGit } from "./mirror-git.ts";
import type { MirrorRemote } from "./mirror-remote.ts";

/** Where mirrors lie, and what the parts that deal with them share. */

export interface MirrorOptions {
  folder: string;
  remote: MirrorRemote;
  log: Log;
  /** Milliseconds since the epoch. */
  now(): number;
  /** Folders that sandboxes borrow objects from. */
  borrowed(): string[];
  /** All remote repositories there are; the mirrors of others go. */
  repositories(): RemoteRepository[];
  /** The forge said that it lives elsewhere now, or has another default branch. */
  changed(name: string, change: Partial<RemoteRepository>): void;
  limits?: Partial<MirrorLimits>;
}

export interface MirrorLimits {
  /** Of one fetch; default 60 minutes. */
  fetchMs: number;
  /** Of one pack; default 20 GiB. */
  maxPackBytes: number;
  /** How long a folder that was handed out stays without being borrowed; default 15 minutes. */
  graceMs: number;
  /** From which count of packs on they are packed into one; default 30. */
  manyPacks: number;
}

/** What the parts of mirrors share. */
export interface MirrorHouse extends MirrorOptions {
  git: MirrorGit;
  limit: MirrorLimits;
  /** One at a time for each place. */
  exclusively<Result>(place: string, work: () => Promise<Result>): Promise<Result>;
  /** To be called in one's turn, before anything else is done there. */
  visit(place: string): Promise<void>;
  /** Whether somebody may still use it. */
  isHeld(generation: string): boolean;
}

/** A repository that was removed and added again is another one: what the old one held is nobody's to see. */
export function placeOf(folder: string, { name, forge, createdAt }: RemoteRepository): string {
  const key = JSON.stringify([name, forge, createdAt]);
  return join(folder, createHash("sha256").update(key).digest("hex").slice(0, 40));
}

/** The generations of a mirror, oldest first. */
export async function generationsOf(place: string): Promise<string[]> {
  return inOrder(await readdir(place).catch(() => [])).map((name) => join(place, name));
}

const inOrder = (names: string[]): string[] =>
  names
    .filter((name) => /^[1-9]\d{0,8}\.git$/.test(name))
    .sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10));

/** The newest generation; undefined where there is none, or it is known to be damaged. */
export async function currentOf(place: string): Promise<string | undefined> {
  const newest = (await generationsOf(place)).at(-1);
  if (newest === undefined) return undefined;
  return (await Bun.file(join(newest, damagedMark)).exists()) ? undefined : newest;
}

/** Whether `currentOf` is one: two looks into a folder, at once, for whoever decides within a transaction. */
export function hasCurrent(place: string): boolean {
  try {
    const newest = existsSync(place) ? inOrder(readdirSync(place)).at(-1) : undefined;
    return newest !== undefined && !existsSync(join(place, newest, damagedMark));
  } catch {
    // What is wrong with it is said by the fetch.
    return false;
  }
}

const damagedMark = "ccw-damaged";
export const markDamaged = (generation: string): Promise<void> =>
  writeFile(join(generation, damagedMark), "");

/** Made beside and moved into place, so that a generation is there whole or not at all. */
export async function makeGeneration(
  { git }: MirrorHouse,
  place: string,
  format: ObjectFormat,
  fill: (folder: string) => Promise<void>,
  /** Encloses the last step. */
  finish: <Result>(work: () => Promise<Result>) => Promise<Result> = (work) => work(),
): Promise<string> {
  const fresh = await mkdtemp(join(place, ".new-"));
  try {
    // Sandboxes see it as somebody else's; the folder around all mirrors is this server's alone.
    await chmod(fresh, 0o755);
    const init = ["init", "--quiet", "--bare", "--template=", "--shared=0644", `--object-format=${format}`];
    const made = await git.run([...init, "--initial-branch=main", "--", fresh], {
      signal: new AbortController().signal,
    });
    if (made.exitCode !== 0) throw new Error(`git could not make a mirror: ${made.stderr.trim()}`);
    await fill(fresh);
    return await finish(async () => {
      const newest = (await generationsOf(place)).at(-1)?.match(/(\d+)\.git$/)?.[1] ?? "0";
      const final = join(place, `${Number(newest) + 1}.git`);
      await rename(fresh, final);
      return final;
    });
  } catch (thrown) {
    await rm(fresh, { recursive: true, force: true });
    throw thrown;
  }
}

export const fetchVerb = [
  "fetch",
  "--quiet",
  "--prune",
  "--no-tags",
  "--no-auto-maintenance",
  "--no-write-fetch-head",
  "--no-recurse-submodules",
];
export const refspecs = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"];

/**
 * What is wrong with a mirror that git could not work with; undefined where nothing is, so that it was the other side.
 * `thoroughly` reads every byte, else only what is reachable is looked for.
 */
export async function damageByFsck(
  git: MirrorGit,
  generation: string,
  options: { thoroughly: boolean; signal: AbortSignal; background?: boolean },
): Promise<string | undefined> {
  const { thoroughly, signal, background = false } = options;
  const kind = thoroughly ? "--full" : "--connectivity-only";
  const { exitCode, stdout, stderr } = await git.run(
    [`--git-dir=${generation}`, "fsck", kind, "--no-dangling", "--no-progress", "--no-reflogs"],
    { signal, background, timeoutMs: 3 * 3600_000 },
  );
  if (exitCode === 0) return undefined;
  // It also complains of flaws of old tools (`missingSpaceBeforeDate`), which the forge has taken.
  const words = `${stderr}\n${stdout.slice(0, 65_536)}`.replace(/^(error|warning) in \w+ .*$/gm, "").trim();
  return speaksOfDamage(words) ? words.slice(0, 500) : undefined;
}

/** What git says of objects and refs that it cannot read. */
export function speaksOfDamage(words: string): boolean {
  return /is corrupt|bad (object|ref)|missing|unable to (read|open|parse)|could not (read|open|parse|find)|does not match|inflate|cannot be (accessed|mapped|loaded)|wrong index|too (small|short)|non-monotonic|garbage|not a git repository|did not send all necessary objects|unresolved deltas|invalid sha1 pointer|hash mismatch|broken link/i.test(
    words,
  );
}
