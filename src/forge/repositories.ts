import { CcwError } from "../domain/errors.ts";
import type { GitEndpoint, GitServer } from "../domain/git-server.ts";
import type { RepositoryHost } from "../domain/ports.ts";
import type { HostedRepositories } from "./hosted.ts";

/** All repositories of the appliance under one name space, wherever they live. */
export function createRepositories(parts: { hosted: HostedRepositories; git: GitServer }): RepositoryHost {
  const { hosted, git } = parts;
  return {
    endpointOf: (name) => endpointAt(git, hosted.pathOf(name)),
    create: (name, options) => hosted.create(name, options),
    branches: (name) => hosted.branches(name),
    objectsOf: (name) => hosted.folderOf(name),
    diff: (name, base, branch, limits) => hosted.diff(name, base, branch, limits),
    commits: (name, base, branch, limit) => hosted.commits(name, base, branch, limit),
    fileOf: (name, branch, paths) => hosted.fileOf(name, branch, paths),
    merge: (name, request) => hosted.merge(name, request),
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
