import { chmod } from "node:fs/promises";
import { CcwError } from "../domain/errors.ts";
import type { GitEndpoint, GitServer } from "../domain/git-server.ts";
import type { MergeOutcome, MergeRequest, RepositoryHost } from "../domain/ports.ts";
import type { RemoteRepository, Repository } from "../domain/repository.ts";
import { findTip } from "./branches.ts";
import { commitsBetween, diffBetween } from "./changes.ts";
import { createGit } from "./git.ts";
import type { HostedRepositories } from "./hosted.ts";
import { readFileOf } from "./merge.ts";
import type { Mirrors } from "./mirrors.ts";

/** All repositories of the appliance under one name space, wherever they live. */
export function createRepositories(parts: {
  hosted: HostedRepositories;
  git: GitServer;
  mirrors: Mirrors;
  /** The appliance's own record; a name without one is looked for among the hosted ones. */
  repositoryOf(name: string): Repository | undefined;
  /** How git reaches a remote one, with the real credential. */
  remoteEndpoint(repository: RemoteRepository): GitEndpoint;
  mergeRemote(name: string, request: MergeRequest): Promise<MergeOutcome>;
}): RepositoryHost {
  const { hosted, git, mirrors, repositoryOf, remoteEndpoint, mergeRemote } = parts;
  const local = createGit();
  const noSignal = new AbortController().signal;

  function remoteOf(name: string): RemoteRepository | undefined {
    const found = repositoryOf(name);
    return found?.kind === "remote" ? found : undefined;
  }

  async function tipIn(folder: string, name: string, branch: string): Promise<string> {
    const tip = await findTip(local, folder, branch);
    if (tip !== undefined) return tip;
    throw new CcwError(
      "not_found",
      `The repository ${name} has no branch ${branch}.`,
      "It may have been deleted or merged on its forge.",
    );
  }

  return {
    endpointOf(name) {
      const remote = remoteOf(name);
      return remote === undefined ? endpointAt(git, hosted.pathOf(name)) : remoteEndpoint(remote);
    },

    create: (name, options) => hosted.create(name, options),

    async branches(name) {
      const remote = remoteOf(name);
      if (remote === undefined) return hosted.branches(name);
      return mirrors.branches(remote, noSignal);
    },

    isHere(name) {
      const remote = remoteOf(name);
      return remote === undefined || mirrors.isHere(remote);
    },

    async objectsOf(name, signal) {
      const remote = remoteOf(name);
      if (remote !== undefined) return (await mirrors.refresh(remote, signal)).folder;
      // Nothing is ever pruned in there (repositorySettings), so it may be borrowed from as it is. A sandbox sees it as
      // somebody else's; what keeps others out is the folder around all repositories.
      const folder = await hosted.folderOf(name);
      await chmod(folder, 0o755);
      return folder;
    },

    async diff(name, base, branch, limits) {
      const remote = remoteOf(name);
      if (remote === undefined) return hosted.diff(name, base, branch, limits);
      const { folder } = await mirrors.refresh(remote, noSignal);
      const [from, to] = [await tipIn(folder, name, base), await tipIn(folder, name, branch)];
      return diffBetween(local, folder, from, to, limits);
    },

    async commits(name, base, branch, limit) {
      const remote = remoteOf(name);
      if (remote === undefined) return hosted.commits(name, base, branch, limit);
      const { folder } = await mirrors.refresh(remote, noSignal);
      const [from, to] = [await tipIn(folder, name, base), await tipIn(folder, name, branch)];
      return commitsBetween(local, folder, from, to, limit);
    },

    async fileOf(name, branch, paths) {
      const remote = remoteOf(name);
      if (remote === undefined) return hosted.fileOf(name, branch, paths);
      const { folder } = await mirrors.refresh(remote, noSignal);
      return readFileOf(local, folder, branch, paths);
    },

    merge: (name, request) =>
      remoteOf(name) === undefined ? hosted.merge(name, request) : mergeRemote(name, request),
  };
}

/** A bare repository of this machine, answered by git's own programs. */
export function endpointAt(git: GitServer, folder: string): GitEndpoint {
  return {
    async serve(call) {
      if (call.right.kind === "none" && call.service === "git-receive-pack")
        throw new CcwError("forbidden", "This repository may only be read.");
      return git.serve({ ...call, folder });
    },
    isSymbolicRef: (ref) => git.isSymbolicRef(folder, ref),
  };
}
