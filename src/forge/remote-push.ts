import { CcwError } from "../domain/errors.ts";
import type { RemoteRepository } from "../domain/repository.ts";
import { createMirrorGit } from "./mirror-git.ts";
import { fetchFailure, type MirrorRemote } from "./mirror-remote.ts";

/** What the appliance itself pushes to a forge, as a person has asked for it: with the real credential, never by force. */
export interface RemotePush {
  /**
   * Makes `branch` stand at a commit that `folder`, a bare repository, holds. `moved`: the branch stands where the
   * commit does not build on. Rejects as a fetch does, and with `conflict` in the forge's words where its rules forbid
   * it.
   */
  push(
    repository: RemoteRepository,
    from: { folder: string; commit: string; branch: string },
    signal: AbortSignal,
  ): Promise<"pushed" | "moved">;
}

export function createRemotePush(remote: Pick<MirrorRemote, "settings" | "redacted">): RemotePush {
  const git = createMirrorGit();
  return {
    async push(repository, { folder, commit, branch }, signal) {
      const settings = await remote.settings(repository, "write");
      const verb = ["push", "--porcelain", "--no-verify", "--no-signed"];
      const args = [
        `--git-dir=${folder}`,
        ...verb,
        "--",
        repository.cloneUrl,
        `${commit}:refs/heads/${branch}`,
      ];
      const { exitCode, stdout, stderr } = await git.run(args, { signal, settings, timeoutMs: pushMs });
      if (exitCode === 0) return "pushed";
      // git-push(1), "Output": `!`, the refs, and the reason in parentheses.
      const [, how, reason] = /^!\t[^\t]*\t\[(rejected|remote rejected)\] \((.*)\)$/m.exec(stdout) ?? [];
      if (how === "rejected") return "moved";
      const words = remote.redacted(stderr.trim()).slice(-1000);
      if (how === undefined) throw fetchFailure(repository, words);
      const said = words
        .split("\n")
        .filter((line) => line.startsWith("remote: "))
        .map((line) => line.slice("remote: ".length).trim())
        .filter((line) => line !== "");
      throw new CcwError(
        "conflict",
        `${new URL(repository.cloneUrl).host} does not take a push to ${branch} of ${repository.name}: ${[reason, ...said].join(" ")}`,
        "See on the forge what its rules for this branch are.",
      );
    },
  };
}

const pushMs = 30 * 60_000;
