import { CcwError } from "../domain/errors.ts";
import type { Forge, ForgeAccess, ForgeApi, ForgeCredential } from "../domain/forge.ts";
import type { Log } from "../domain/ports.ts";
import type { ForgeStore } from "../domain/store/forges.ts";
import { createForgeAccess } from "./access.ts";
import { createForgeFetch } from "./forge-fetch.ts";
import type { ForgeNetwork } from "./forge-network.ts";
import type { Patience } from "./forge-patience.ts";
import { createGitea } from "./gitea.ts";
import { createGithub } from "./github.ts";
import type { GithubApp } from "./github-app.ts";
import { convertManifest } from "./github-manifest.ts";
import { createGitlab } from "./gitlab.ts";

/** The forges that the operator has connected, as the rest of the house works with them. */
export interface Forges {
  /** Undefined for a plain git server, which has no API. Throws `not_found` for a forge that is not there. */
  apiOf(name: string): ForgeApi | undefined;
  /** For a credential that is not stored yet. */
  apiFor(forge: Forge, credential: ForgeCredential): ForgeApi | undefined;
  access: ForgeAccess;
  /** What must not leave a sandbox, of all forges; `name` says which it is without saying it. */
  secrets(): { name: string; value: string }[];
  /** The last step of GitHub's manifest flow. */
  convertManifest(
    forge: Pick<Forge, "name" | "apiUrl">,
    code: string,
  ): Promise<Extract<ForgeCredential, { kind: "app" }>>;
}

interface Connected {
  updatedAt: number;
  api: ForgeApi | undefined;
  app: GithubApp | undefined;
}

/** `lookup` is read at each use: what is kept of a forge is forgotten when it changes. */
export function createForges(options: {
  lookup: Pick<ForgeStore, "get" | "list" | "credentialOf">;
  network: ForgeNetwork;
  log: Log;
  now(): number;
  /** Told of limits and outages that are waited out. */
  patience?: Patience;
}): Forges {
  const { lookup, network, log, now } = options;
  const connected = new Map<string, Connected>();
  const patience: Patience = {
    ...options.patience,
    onWaiting(text) {
      log.warn("a forge is waited for", { text });
      options.patience?.onWaiting?.(text);
    },
  };

  function connect(forge: Forge, credential: ForgeCredential): Omit<Connected, "updatedAt"> {
    if (forge.kind === "git") return { api: undefined, app: undefined };
    const fetch = createForgeFetch({ network, origin: forge.apiUrl });
    const parts = { forge, credential, fetch, patience, now };
    switch (forge.kind) {
      case "github": {
        const api = createGithub(parts);
        return { api, app: api.app };
      }
      case "gitlab":
        return { api: createGitlab(parts), app: undefined };
      case "gitea":
        return { api: createGitea(parts), app: undefined };
    }
  }

  function connectedTo(name: string): Connected {
    const forge = lookup.get(name);
    if (forge === undefined) {
      connected.delete(name);
      throw new CcwError(
        "not_found",
        `There is no forge named ${JSON.stringify(name.slice(0, 100))}.`,
        "`ccw-server forge list` shows those there are.",
      );
    }
    const found = connected.get(name);
    if (found?.updatedAt === forge.updatedAt) return found;
    const made = { updatedAt: forge.updatedAt, ...connect(forge, lookup.credentialOf(name)) };
    connected.set(name, made);
    return made;
  }

  return {
    apiOf: (name) => connectedTo(name).api,
    apiFor: (forge, credential) => connect(forge, credential).api,
    access: createForgeAccess({
      get: lookup.get,
      credentialOf: lookup.credentialOf,
      appOf: (name) => (lookup.get(name) === undefined ? undefined : connectedTo(name).app),
    }),
    secrets: () =>
      lookup.list().flatMap(({ name }) => {
        const values = secretTexts(lookup.credentialOf(name));
        const made = connected.get(name)?.app?.tokens() ?? [];
        return [...values, ...made].map((value) => ({ name: `the credential of the forge ${name}`, value }));
      }),
    convertManifest: (forge, code) =>
      convertManifest(forge, code, { fetch: createForgeFetch({ network, origin: forge.apiUrl }), now }),
  };
}

function secretTexts(credential: ForgeCredential): string[] {
  switch (credential.kind) {
    case "none":
      return [];
    case "token":
      return [credential.token];
    case "app": {
      // Whoever copies a key by hand may leave out its frame or its line breaks.
      const lines = credential.privateKey.split(/\s*\n\s*/).filter((line) => !/^(-----.*)?$/.test(line));
      return [credential.privateKey.trim(), lines.join(""), lines[Math.floor(lines.length / 2)] ?? ""].filter(
        (text) => text !== "",
      );
    }
  }
}
