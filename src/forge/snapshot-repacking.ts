import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { messageOf } from "../domain/errors.ts";
import type { Log } from "../domain/ports.ts";
import { createMirrorGit } from "./mirror-git.ts";

/** Of one repository; beside the work of the tasks it has the time. */
const timeoutMs = 60 * 60_000;

/**
 * Each push leaves a pack, and looking through many is slow. Where there are too many they are made one, in the background,
 * one repository at a time. Nothing is lost by it, not even what no ref reaches; only what is borrowed besides goes.
 */
export function createSnapshotRepacking({ manyPacks, log }: { manyPacks: number; log: Log }) {
  const git = createMirrorGit();
  const waiting = new Set<string>();
  const closing = new AbortController();
  /** The repository that is packed now. */
  let current: { path: string; stop: AbortController; ended: Promise<void> } | undefined;
  let working: Promise<void> | undefined;

  async function repack(path: string, signal: AbortSignal): Promise<void> {
    const packs = await readdir(join(path, "objects/pack")).catch(() => []);
    if (packs.filter((name) => name.endsWith(".pack")).length <= manyPacks) return;
    const verbs = [
      ["repack", "-a", "-d", "-l", "--keep-unreachable", "-q"],
      ["pack-refs", "--all"],
    ];
    for (const verb of verbs) {
      const { exitCode, stderr } = await git.run([`--git-dir=${path}`, ...verb], {
        ...{ signal, timeoutMs, background: true },
        settings: [["pack.threads", "1"]],
      });
      if (exitCode !== 0) throw new Error(stderr.trim());
    }
  }

  async function work(): Promise<void> {
    // What is added meanwhile has its turn, too.
    for (const path of waiting) {
      waiting.delete(path);
      if (closing.signal.aborted) return;
      const stop = new AbortController();
      const signal = AbortSignal.any([closing.signal, stop.signal]);
      const ended = repack(path, signal).catch((thrown: unknown) => {
        if (signal.aborted) return;
        log.warn("snapshots could not be packed", { folder: path, reason: messageOf(thrown) });
      });
      current = { path, stop, ended };
      await ended;
      current = undefined;
    }
  }

  return {
    /** Something was pushed there. */
    look(path: string): void {
      waiting.add(path);
      working ??= work().finally(() => {
        working = undefined;
      });
    },
    /** Ends what is done below the folder, which is about to be removed: git would make parts of it anew. */
    async leave(folder: string): Promise<void> {
      const isBelow = (path: string) => path.startsWith(`${folder}/`);
      for (const path of waiting) if (isBelow(path)) waiting.delete(path);
      if (current === undefined || !isBelow(current.path)) return;
      current.stop.abort();
      await current.ended;
    },
    async close(): Promise<void> {
      closing.abort();
      await working;
    },
  };
}
