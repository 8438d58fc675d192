import { CcwError } from "../domain/errors.ts";
import type { Forge, ForgeAccess, ForgeCredential } from "../domain/forge.ts";
import type { GithubApp } from "./github-app.ts";

/** The real credential for git and LFS, as it goes into a request to the forge's own host. */
export function createForgeAccess(forges: {
  get(name: string): Forge | undefined;
  credentialOf(name: string): ForgeCredential;
  /** Undefined where the forge's credential is no GitHub App's. */
  appOf(name: string): GithubApp | undefined;
}): ForgeAccess {
  return {
    async authorizationFor({ forge: name, path, cloneUrl }, right) {
      const forge = forges.get(name);
      if (forge === undefined) {
        throw new CcwError(
          "forbidden",
          `The forge ${name} is not connected any more.`,
          `Connect it again: ccw-server forge add ${name} URL --kind KIND`,
        );
      }
      // A forge may be connected elsewhere under the same name while a repository is being added.
      if (new URL(cloneUrl).origin !== new URL(forge.url).origin) {
        throw new CcwError(
          "forbidden",
          `${new URL(cloneUrl).host} is not where the forge ${name} is, and does not get its credential.`,
          "Remove the repository and add it again by its address.",
        );
      }
      const credential = forges.credentialOf(name);
      switch (credential.kind) {
        case "none":
          return undefined;
        case "token":
          return basic(credential.username || usualNames[forge.kind], credential.token);
        case "app": {
          const app = forges.appOf(name);
          if (app === undefined) throw new CcwError("forbidden", `The forge ${name} has no GitHub App.`);
          return basic(usualNames.github, await app.tokenFor(path, right));
        }
      }
    },
    refused({ forge, path }) {
      forges.appOf(forge)?.drop(path);
    },
  };
}

/** What each forge takes for a name beside a token; only GitLab and plain servers look at it. */
const usualNames: Record<Forge["kind"], string> = {
  github: "x-access-token",
  gitlab: "oauth2",
  gitea: "token",
  git: "git",
};

function basic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}
