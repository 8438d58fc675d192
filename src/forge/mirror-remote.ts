import { CcwError } from "../domain/errors.ts";
import type { ForgeAccess } from "../domain/forge.ts";
import type { RemoteRepository } from "../domain/repository.ts";
import type { GitSetting } from "./git.ts";
import { askForRefs, type RemoteRefs } from "./remote-refs.ts";
import type { UpstreamHttp } from "./upstream-http.ts";

/** A remote repository, asked with the real credential. */
export interface MirrorRemote {
  /**
   * What it has now, and the repository as it is to be known from here on. `forbidden` or `not_found` where the
   * credential may not read it (any more), `unavailable` where it cannot be asked.
   */
  refs(
    repository: RemoteRepository,
    signal: AbortSignal,
  ): Promise<{ found: RemoteRefs; repository: RemoteRepository }>;
  /** For a git that fetches from it, or pushes to it: the credential, for its URL alone, and the way there. */
  settings(repository: RemoteRepository, right?: "read" | "write"): Promise<GitSetting[]>;
  /** Words of git, without what is secret in them. */
  redacted(words: string): string;
}

export function createMirrorRemote(options: {
  access: ForgeAccess;
  http: UpstreamHttp;
  /** How git gets there (`gitNetworkSettings`). */
  network: readonly GitSetting[];
}): MirrorRemote {
  const { access, http, network } = options;

  async function ask(repository: RemoteRepository, signal: AbortSignal) {
    const authorization = await access.authorizationFor(repository, "read");
    return askForRefs({ cloneUrl: repository.cloneUrl, authorization, http, signal });
  }

  return {
    async refs(repository, signal) {
      let current = repository;
      let answer = await ask(current, signal);
      if (answer.kind === "refused" && answer.status === 401) {
        // A token may be revoked before its time is over.
        access.refused(current);
        answer = await ask(current, signal);
      }
      if (answer.kind === "moved") {
        current = movedTo(repository, answer.cloneUrl);
        answer = await ask(current, signal);
      }
      switch (answer.kind) {
        case "refs":
          return { found: answer.found, repository: current };
        case "moved":
          throw new CcwError(
            "unavailable",
            `The server of ${repository.name} redirects from ${current.cloneUrl} to ${answer.cloneUrl} and so on.`,
            "See with a browser where the repository is now, and add it from there.",
          );
        case "refused":
          throw refusal(repository, answer.status);
      }
    },

    async settings(repository, right = "read") {
      const authorization = await access.authorizationFor(repository, right);
      return [
        ...network,
        ...(authorization === undefined
          ? []
          : [[`http.${repository.cloneUrl}.extraHeader`, `Authorization: ${authorization}`] as const]),
      ];
    },

    redacted: (words) =>
      words.replace(/\/\/[^/@\s]+@/g, "//").replace(/(authorization:\s*\S+\s+)\S+/gi, "$1…"),
  };
}

/** Why a git could not speak with a forge, by its words. */
export function fetchFailure(repository: RemoteRepository, words: string): CcwError {
  const status = /returned error: (\d+)/.exec(words)?.[1];
  if (status === "403" || status === "404" || status === "401") return refusal(repository, Number(status));
  if (/repository .* not found/.test(words)) return refusal(repository, 404);
  if (/Authentication failed|could not read (Username|Password)/.test(words)) return refusal(repository, 401);
  return new CcwError(
    "unavailable",
    `Git could not speak with the forge of ${repository.name}: ${words.replace(/\s+/g, " ")}`,
    "See that the forge runs and that this machine reaches it.",
  );
}

function refusal({ name, forge }: RemoteRepository, status: number): CcwError {
  return new CcwError(
    status === 404 ? "not_found" : "forbidden",
    `The forge ${forge} does not let the appliance read ${name} (HTTP status ${status}): it was renamed, removed or made private, or the credential lacks the right.`,
    `Look at the repository on its forge; \`ccw-server forge test ${forge}\` says what the credential may do.`,
  );
}

/** The same repository under its new address on the same host. */
function movedTo(repository: RemoteRepository, cloneUrl: string): RemoteRepository {
  const pathOf = (url: string) => new URL(url).pathname.replace(/^\/|(\.git)?\/*$/g, "");
  const before = pathOf(repository.cloneUrl);
  const after = pathOf(cloneUrl);
  // What stands before the path is where the forge lives on its host, and stays.
  const prefix = before.endsWith(repository.path) ? before.slice(0, -repository.path.length) : "";
  const path = after.startsWith(prefix) ? after.slice(prefix.length) : after;
  return {
    ...repository,
    ...{ cloneUrl, path },
    webUrl: repository.webUrl.endsWith(repository.path)
      ? repository.webUrl.slice(0, -repository.path.length) + path
      : repository.webUrl,
  };
}
