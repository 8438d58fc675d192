import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { Config } from "./config.ts";
import { CcwError } from "./domain/errors.ts";
import type { GitServer } from "./domain/git-server.ts";
import type { LfsEndpoint } from "./domain/lfs.ts";
import type { KeptWork, Log, RepositoryHost } from "./domain/ports.ts";
import type { RemoteRepository } from "./domain/repository.ts";
import type { SnapshotRepositories } from "./domain/snapshots.ts";
import type { Store } from "./domain/store.ts";
import type { TeleportRepositories } from "./domain/teleport.ts";
import { gitNetworkSettings } from "./forge/forge-network.ts";
import { createForges, type Forges } from "./forge/forges.ts";
import { createGitServer } from "./forge/git-server.ts";
import { createGitUpstream } from "./forge/git-upstream.ts";
import { defaultMaxTaskPackBytes } from "./forge/git-upstream-guard.ts";
import { createHostedRepositories, type HostedRepositories } from "./forge/hosted.ts";
import { createKeptWork } from "./forge/kept-work.ts";
import { hostedLfsEndpoint } from "./forge/lfs-hosted.ts";
import { openLfsStore } from "./forge/lfs-store.ts";
import { createLfsUpstream } from "./forge/lfs-upstream.ts";
import { createRemoteMerge } from "./forge/merge-remote.ts";
import { createMirrorRemote } from "./forge/mirror-remote.ts";
import { createMirrors } from "./forge/mirrors.ts";
import { openQuarantine } from "./forge/quarantine.ts";
import { createRemotePush } from "./forge/remote-push.ts";
import { createRepositories } from "./forge/repositories.ts";
import { createSnapshots } from "./forge/snapshots.ts";
import { createTeleportRepositories } from "./forge/teleports.ts";
import { createUpstreamHttp } from "./forge/upstream-http.ts";
import { createReach, upstreamProxyOf, vetAddresses } from "./network.ts";

export interface OpenRepositories {
  hosted: HostedRepositories;
  git: GitServer;
  forges: Forges;
  /** All of them under one name space. */
  host: RepositoryHost;
  kept: KeptWork;
  snapshots: SnapshotRepositories;
  teleports: TeleportRepositories;
  /** The large files of a repository; undefined where there is none of this name. */
  lfsOf(name: string): LfsEndpoint | undefined;
  close(): Promise<void>;
}

const maintainEveryMs = 60 * 60 * 1000;

/** Everything that repositories are made of: hosted ones, forges with their credentials, mirrors, git towards all of them. */
export async function openRepositories(options: {
  config: Config;
  /** PEM of those that a forge's certificate may be signed by. */
  authorities: readonly string[];
  store: Store;
  log: Log;
  now: () => number;
  /** Of the appliance itself, which no forge's answer leads to. */
  ownPort: () => number;
}): Promise<OpenRepositories> {
  const { config, authorities, store, log, now, ownPort } = options;
  const { allowedRanges, upstreamProxy } = config.egress;
  const folderOf = (name: string) => join(config.dataFolder, name);

  const hosted = createHostedRepositories({ folder: folderOf("repositories"), log, now });
  const git = await createGitServer({ folder: folderOf("git"), log });
  const network = { proxy: upstreamProxy?.url, authorities };
  const forges = createForges({ lookup: store.forges, network, log, now });

  const http = createUpstreamHttp({ proxy: upstreamProxyOf(upstreamProxy), authorities });
  const remote = createMirrorRemote({
    ...{ access: forges.access, http },
    network: gitNetworkSettings(network, join(folderOf("mirrors"), "authorities.pem")),
  });
  const pushing = {
    remotePush: createRemotePush(remote),
    async freshly(name: string, signal: AbortSignal) {
      const { folder } = await mirrors.refresh(remoteOf(store, name), signal);
      return { repository: remoteOf(store, name), mirror: folder };
    },
  };
  const kept = createKeptWork({
    ...{ folder: folderOf("kept"), git, keepDays: config.keepWorkDays },
    ...pushing,
  });
  const teleports = createTeleportRepositories({ folder: folderOf("teleports"), git });
  const snapshots = createSnapshots({
    ...{ folder: folderOf("snapshots"), git, log },
    maxBytes: config.snapshots.maxBytes,
  });
  const mirrors = createMirrors({
    ...{ folder: folderOf("mirrors"), remote },
    log,
    now,
    borrowed: () => [
      ...store.sandboxes.borrowedFolders(),
      ...kept.borrowed(),
      ...snapshots.borrowed(),
      ...teleports.borrowed(),
    ],
    repositories: () => store.repositories.list().filter((each) => each.kind === "remote"),
    changed: (name, change) => store.repositories.update(name, change),
  });
  const upkeep = new AbortController();
  let maintaining = Promise.resolve();
  const maintain = setInterval(() => {
    maintaining = maintaining.then(() => mirrors.maintain(upkeep.signal));
  }, maintainEveryMs);

  const upstream = createGitUpstream({
    http,
    access: forges.access,
    log,
    quarantine: await openQuarantine({
      folder: folderOf("quarantine"),
      maxPackBytes: defaultMaxTaskPackBytes,
    }),
    base: {
      async folderWith(name, commit, signal) {
        const repository = remoteOf(store, name);
        // Packs lean on whatever the sandbox has fetched, which may be newer than the mirror.
        await mirrors.refresh(repository, signal);
        return (await mirrors.holding(repository, commit, signal)).folder;
      },
    },
  });
  const host = createRepositories({
    hosted,
    git,
    mirrors,
    repositoryOf: store.repositories.get,
    remoteEndpoint: upstream.endpointOf,
    mergeRemote: createRemoteMerge({ folder: folderOf("merges"), ...pushing }),
  });
  const lfsStore = await openLfsStore({ folder: folderOf("lfs") });
  const lfs = createLfsUpstream({
    ...{ http, access: forges.access, log, now },
    newTicket: () => randomBytes(32).toString("base64url"),
    reach: createReach({
      whyNot: vetAddresses({ allowedRanges, ownPort, now }),
      proxyResolves: upstreamProxy?.resolves === true,
    }),
  });
  return {
    hosted,
    git,
    forges,
    host,
    kept,
    snapshots,
    teleports,
    lfsOf(name) {
      const repository = store.repositories.get(name);
      if (repository === undefined) return undefined;
      return repository.kind === "remote" ? lfs.endpointOf(repository) : hostedLfsEndpoint(lfsStore, name);
    },
    async close() {
      clearInterval(maintain);
      upkeep.abort();
      http.close();
      await maintaining;
      await snapshots.close();
    },
  };
}

function remoteOf(store: Store, name: string): RemoteRepository {
  const found = store.repositories.get(name);
  if (found?.kind === "remote") return found;
  throw new CcwError("not_found", `There is no repository ${name} on a forge any more.`);
}
