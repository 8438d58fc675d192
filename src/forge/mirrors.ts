import { mkdirSync } from "node:fs";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { bytesText } from "../domain/amounts.ts";
import { CcwError } from "../domain/errors.ts";
import { parseBranchName, type RemoteRepository } from "../domain/repository.ts";
import type { GitSetting } from "./git.ts";
import type { ObjectFormat } from "./ls-refs.ts";
import {
  currentOf,
  damageByFsck,
  fetchVerb,
  hasCurrent,
  type MirrorHouse,
  type MirrorLimits,
  type MirrorOptions,
  makeGeneration,
  markDamaged,
  placeOf,
  refspecs,
  speaksOfDamage,
} from "./mirror-generations.ts";
import { createMirrorGit, endOrphan, noSpace } from "./mirror-git.ts";
import { createLocks } from "./mirror-locks.ts";
import { bytesOfRest, damageOf, tidy, writeManifest } from "./mirror-packs.ts";
import { fetchFailure } from "./mirror-remote.ts";
import { maintainMirrors } from "./mirror-upkeep.ts";
import type { RemoteRefs } from "./remote-refs.ts";

/**
 * Copies of remote repositories on this machine, whose objects sandboxes borrow: bare, at
 * `<folder>/<hash of the repository>/<generation>.git`. Refreshed with the forge's real credential before each use, so
 * that who may not read any more gets nothing. In one generation objects are only ever added; what is to be tidied,
 * or is damaged, is replaced by a new generation beside it, and the old one goes when nobody borrows it.
 */
export interface Mirrors {
  /** Whether there is one that only has to be brought up to date; else `refresh` fetches all of the repository. */
  isHere(repository: RemoteRepository): boolean;
  /** The branches that the repository has now, as its forge lists them; nothing is fetched. Rejects as `refresh` does. */
  branches(repository: RemoteRepository, signal: AbortSignal): Promise<{ name: string; commit: string }[]>;
  /**
   * Makes the mirror, or brings it up to date; never older than the call. `forbidden` or `not_found` where the
   * credential may not read the repository, `unavailable` where the forge cannot be asked, `no_space`, `too_large`.
   * The folder stays for some minutes, and for as long as `borrowed` names it.
   */
  refresh(repository: RemoteRepository, signal: AbortSignal): Promise<{ folder: string }>;
  /** A folder that holds the commit, refreshed where it was not there yet; `not_found` where it is not there then either. */
  holding(repository: RemoteRepository, commit: string, signal: AbortSignal): Promise<{ folder: string }>;
  /** Checks mirrors, packs them anew where it is worth it, and removes what nobody needs. Never rejects. */
  maintain(signal: AbortSignal): Promise<void>;
}

export function createMirrors(options: MirrorOptions): Mirrors {
  const { log, now, borrowed, remote } = options;
  const folder = options.folder;
  const limit: MirrorLimits = {
    fetchMs: 60 * 60_000,
    maxPackBytes: 20 * 1024 ** 3,
    graceMs: 15 * 60_000,
    manyPacks: 30,
    ...options.limits,
  };
  // Mirrors can be read by whoever is let in here, since sandboxes read them as nobody's.
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const git = createMirrorGit();
  const locks = createLocks<{ folder: string }>();
  /** When each generation was handed out last. */
  const handedOut = new Map<string, number>();
  const visited = new Set<string>();
  const house: MirrorHouse = {
    ...options,
    ...{ git, limit, visit },
    exclusively: locks.exclusively,
    isHeld: (generation) =>
      now() - (handedOut.get(generation) ?? Number.NEGATIVE_INFINITY) < limit.graceMs ||
      borrowed().includes(generation),
  };

  const handOut = (generation: string) => {
    handedOut.set(generation, now());
    return { folder: generation };
  };

  /** What a server that was killed has left: its git, and that one's rests. */
  async function visit(place: string): Promise<void> {
    await mkdir(place, { recursive: true, mode: 0o755 });
    if (visited.has(place)) return;
    await endOrphan(pidFileOf(place), place);
    for (const name of await readdir(place)) {
      if (name.startsWith(".new-")) await rm(join(place, name), { recursive: true, force: true });
    }
    const generation = await currentOf(place);
    if (generation !== undefined) await tidy(generation);
    visited.add(place);
  }

  async function refreshed(repository: RemoteRepository, signal: AbortSignal): Promise<{ folder: string }> {
    const asked = await remote.refs(repository, signal);
    const place = placeOf(folder, repository);
    await visit(place);
    const fetch = async (generation: string) => {
      const settings = await remote.settings(asked.repository);
      return fetchInto(generation, { ...asked, place, settings, signal });
    };
    const old = await currentOf(place);
    const damage = old === undefined ? undefined : await bringUp(old, asked.found, fetch, signal);
    if (old !== undefined && damage === undefined) {
      report(repository, asked);
      return handOut(old);
    }
    if (old !== undefined) {
      log.warn("a mirror is damaged and is made anew", { repository: repository.name, folder: old, damage });
      await markDamaged(old);
    }
    const made = await makeGeneration(house, place, asked.found.objectFormat, async (fresh) => {
      const again = await bringUp(fresh, asked.found, fetch, signal);
      if (again !== undefined)
        throw new CcwError("unavailable", `The mirror of ${repository.name} cannot be made: ${again}.`);
      // Or each of thousands of branches is a file.
      await git.run([`--git-dir=${fresh}`, "pack-refs", "--all"], { signal });
    });
    report(repository, asked);
    return handOut(made);
  }

  /** Returns what is wrong with the generation where something is. */
  async function bringUp(
    generation: string,
    found: RemoteRefs,
    fetch: (generation: string) => Promise<string | undefined>,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const damage = (await damageOf(generation)) ?? (await damageOfFormat(generation, found.objectFormat));
    if (damage !== undefined) return damage;
    const listed = await git.run(
      [
        `--git-dir=${generation}`,
        "for-each-ref",
        "--format=%(objectname) %(refname)",
        "refs/heads/",
        "refs/tags/",
      ],
      { signal },
    );
    if (listed.exitCode !== 0) return listed.stderr.trim();
    if (!sameRefs(listed.stdout, found.refs)) {
      const failed = await fetch(generation);
      if (failed !== undefined) return failed;
      await writeManifest(generation);
    }
    if (found.defaultBranch !== undefined && isBranch(found.defaultBranch)) {
      const head = ["symbolic-ref", "HEAD", `refs/heads/${found.defaultBranch}`];
      const set = await git.run([`--git-dir=${generation}`, ...head], { signal });
      if (set.exitCode !== 0) return set.stderr.trim();
    }
    return undefined;
  }

  async function fetchInto(
    generation: string,
    from: { place: string; repository: RemoteRepository; settings: GitSetting[]; signal: AbortSignal },
  ): Promise<string | undefined> {
    const { place, repository, settings, signal } = from;
    const end = await git
      .run([`--git-dir=${generation}`, ...fetchVerb, "--", repository.cloneUrl, ...refspecs], {
        ...{ signal, settings, timeoutMs: limit.fetchMs, maxFileBytes: limit.maxPackBytes },
        pidFile: pidFileOf(place),
      })
      .catch(async (thrown: unknown) => {
        await tidy(generation);
        throw thrown;
      });
    if (end.exitCode === 0) return undefined;
    const came = await bytesOfRest(generation);
    await tidy(generation);
    if (came >= limit.maxPackBytes) {
      throw new CcwError(
        "too_large",
        `The repository ${repository.name} is larger than ${bytesText(limit.maxPackBytes)}, which is the most that a mirror takes at once.`,
      );
    }
    const words = remote.redacted(end.stderr.trim()).slice(-1000);
    if (speaksOfDamage(words.replace(/^remote:.*$/gm, ""))) {
      const damage = await damageByFsck(git, generation, { thoroughly: true, signal });
      if (damage !== undefined) return damage;
    }
    throw fetchFailure(repository, words);
  }

  function report(
    before: RemoteRepository,
    { repository, found }: { repository: RemoteRepository; found: RemoteRefs },
  ) {
    const { cloneUrl, path, webUrl } = repository;
    const branch = found.defaultBranch;
    const change: Partial<RemoteRepository> = {
      ...(cloneUrl !== before.cloneUrl && { cloneUrl, path, webUrl }),
      ...(branch !== undefined &&
        isBranch(branch) &&
        branch !== before.defaultBranch && { defaultBranch: branch }),
    };
    if (Object.keys(change).length === 0) return;
    log.info("a repository has changed on its forge", { repository: before.name, cloneUrl, branch });
    options.changed(before.name, change);
  }

  const refresh: Mirrors["refresh"] = (repository, signal) =>
    locks.fresh(placeOf(folder, repository), signal, (stop) =>
      refreshed(repository, stop).catch((thrown: unknown) => {
        throw isFullDisk(thrown) ? noSpace() : thrown;
      }),
    );

  return {
    isHere: (repository) => hasCurrent(placeOf(folder, repository)),

    async branches(repository, signal) {
      const asked = await remote.refs(repository, signal);
      report(repository, asked);
      const heads = "refs/heads/";
      return [...asked.found.refs]
        .filter(([ref]) => ref.startsWith(heads))
        .map(([ref, commit]) => ({ name: ref.slice(heads.length), commit }));
    },

    refresh,

    async holding(repository, commit, signal) {
      if (!/^([0-9a-f]{40}|[0-9a-f]{64})$/.test(commit))
        throw new CcwError("invalid", "That is no commit's id.");
      const has = async (generation: string) =>
        (await git.run([`--git-dir=${generation}`, "cat-file", "-e", `${commit}^{commit}`], { signal }))
          .exitCode === 0;
      const current = await currentOf(placeOf(folder, repository));
      if (current !== undefined && (await damageOf(current)) === undefined) {
        const held = handOut(current);
        if (await has(current)) return held;
      }
      const fresh = await refresh(repository, signal);
      if (await has(fresh.folder)) return fresh;
      throw new CcwError("not_found", `The repository ${repository.name} has no commit ${commit}.`);
    },

    maintain: (signal) => maintainMirrors(house, signal),
  };
}

const pidFileOf = (place: string): string => join(place, "fetching.pid");

async function damageOfFormat(generation: string, format: ObjectFormat): Promise<string | undefined> {
  const config = await Bun.file(join(generation, "config"))
    .text()
    .catch(() => "");
  if (config === "") return "it has no config";
  const own = /objectformat\s*=\s*sha256/i.test(config) ? "sha256" : "sha1";
  return own === format ? undefined : `it is made for ${own}, and the repository uses ${format}`;
}

function sameRefs(listed: string, wanted: ReadonlyMap<string, string>): boolean {
  const lines = listed.split("\n").filter((line) => line !== "");
  return (
    lines.length === wanted.size &&
    lines.every((line) => {
      const space = line.indexOf(" ");
      return wanted.get(line.slice(space + 1)) === line.slice(0, space);
    })
  );
}

function isBranch(name: string): boolean {
  try {
    return parseBranchName(name) === name;
  } catch {
    return false;
  }
}

function isFullDisk(thrown: unknown): boolean {
  return (
    thrown instanceof Error && "code" in thrown && (thrown.code === "ENOSPC" || thrown.code === "EDQUOT")
  );
}
