import { createHash } from "node:crypto";
import { join } from "node:path";
import { CcwError } from "../domain/errors.ts";
import { createGit, type GitSetting, repositorySettings } from "./git.ts";
import { startGitProcess } from "./git-process.ts";
import type { QuarantineBase } from "./quarantine.ts";

/**
 * What a server's branches hold, fetched where a push needs it: for the stand-alone relay, which has no mirrors.
 * Everything of it is in `folder`, and one request waits for another of the same repository.
 */
export function createFetchedBase(options: {
  folder: string;
  /** The server, and the path that stands before each repository's. */
  upstream: string;
  /** How git gets there (`gitNetworkSettings`). */
  network: readonly GitSetting[];
}): (authorization: string | undefined) => QuarantineBase {
  const { folder, upstream, network } = options;
  const git = createGit();
  const busy = new Map<string, Promise<unknown>>();

  async function fetchAll(
    path: string,
    commit: string,
    authorization: string | undefined,
    signal: AbortSignal,
  ) {
    const bare = join(folder, `${createHash("sha256").update(path).digest("hex").slice(0, 32)}.git`);
    const format = commit.length === 64 ? "sha256" : "sha1";
    await git.must(["init", "--quiet", "--bare", "--template=", `--object-format=${format}`, "--", bare]);
    const child = startGitProcess({
      argv: [
        ...[
          git.executable,
          `--git-dir=${bare}`,
          "fetch",
          "--quiet",
          "--no-tags",
          "--prune",
          "--no-auto-maintenance",
        ],
        ...["--", `${upstream}${path}`, "+refs/heads/*:refs/heads/*"],
      ],
      environment: git.environment([
        ...repositorySettings,
        ...network,
        ...(authorization === undefined
          ? []
          : [["http.extraHeader", `Authorization: ${authorization}`] as const]),
      ]),
      ...{ signal, idleMs: 10 * 60_000, maxDrainBytes: 0 },
    });
    child.feed(undefined);
    const { exitCode, stderr, failure } = await child.ended;
    if (failure !== undefined) throw failure;
    if (exitCode !== 0) {
      throw new CcwError(
        "unavailable",
        "What the branch holds could not be fetched to compare.",
        stderr.trim().slice(-300),
      );
    }
    return bare;
  }

  return (authorization) => ({
    async folderWith(path, commit, signal) {
      const turn = (busy.get(path) ?? Promise.resolve())
        .catch(() => undefined)
        .then(() => fetchAll(path, commit, authorization, signal));
      busy.set(path, turn);
      return turn;
    },
  });
}
