import { randomBytes } from "node:crypto";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "./config.ts";
import { announce, furnish, operatorName, prepareDataFolder } from "./data-folder.ts";
import { startDemoModel } from "./demo/serve-demo-model.ts";
import { createAgents } from "./domain/agents.ts";
import { CcwError, messageOf } from "./domain/errors.ts";
import type { IdSource } from "./domain/ids.ts";
import type { Repository } from "./domain/repository.ts";
import type { SandboxEngine } from "./domain/sandbox.ts";
import { connectAppliance } from "./engine-connection.ts";
import { handleGitAt, handleGitForPeople, handleLfsForPeople } from "./forge/git-for-people.ts";
import { createControlDoor } from "./gateway/control/control-door.ts";
import { createDoors } from "./gateway/door.ts";
import { readAuthorities } from "./gateway/egress/authorities.ts";
import { openAuthority } from "./gateway/egress/authority.ts";
import { createEgressDoor } from "./gateway/egress/egress-door.ts";
import { openUpstreamTrust } from "./gateway/egress/upstream-tls.ts";
import { createGitDoor } from "./gateway/git/git-door.ts";
import { createModelDoor } from "./gateway/model/model-door.ts";
import { createApp } from "./http/app.ts";
import type { Assets } from "./http/assets.ts";
import { listen, urlOf } from "./listen.ts";
import type { ApplianceLog } from "./log.ts";
import { lookUp, upstreamProxyOf, vetAddresses } from "./network.ts";
import { openNotifications } from "./open-notifications.ts";
import { openRepositories } from "./open-repositories.ts";
import { attachmentFilesOf, createDeletions, keptWorkOf } from "./runs/deletions.ts";
import { createEgressPort } from "./runs/egress.ts";
import { startKeptExpiry } from "./runs/expire-kept.ts";
import { createPullRequestFollower } from "./runs/follow-pull-requests.ts";
import { startAttachmentSweep } from "./runs/forget-attachments.ts";
import { createModelPort } from "./runs/model-port.ts";
import { createModelSettings } from "./runs/model-settings.ts";
import { createNotifications } from "./runs/notifications.ts";
import { createOwedPullRequests } from "./runs/owed-pull-requests.ts";
import { createPullRequests } from "./runs/pull-requests.ts";
import { createRefusalRecord } from "./runs/refusals.ts";
import { createScheduleClock } from "./runs/schedule-clock.ts";
import { createScheduler } from "./runs/scheduler.ts";
import { createSearchIndexer } from "./runs/search-indexer.ts";
import { createControlPort, createGitPort, createScopedTokens } from "./runs/session.ts";
import { startSnapshotExpiry } from "./runs/snapshot-expiry.ts";
import { startTicketExpiry } from "./runs/teleport.ts";
import { startUsageExpiry } from "./runs/usage-expiry.ts";
import { createUsageLimits } from "./runs/usage-limits.ts";
import { createEngine } from "./sandbox/engine.ts";
import { createReconnectingEngine } from "./sandbox/reconnecting-engine.ts";
import { openAttachmentFiles } from "./store/attachment-files.ts";
import { lockDataFolder } from "./store/lock.ts";
import { createSeal, loadSealKey } from "./store/seal.ts";
import { openStore } from "./store/store.ts";

export interface ServerOptions {
  config: Config;
  log: ApplianceLog;
  version: string;
  assets: Assets;
  /** The executable that runs in every sandbox. */
  guestExecutable: string;
  /** The demo model plays, whatever else is set. */
  demo: boolean;
}

export interface Server {
  url: string;
  /** For the operator's terminal: where the page is, and a link that signs in once. */
  welcome: string;
  /** Stops serving; sandboxes live on and are taken up by the next server. */
  close(): Promise<void>;
}

export const idSource: IdSource = { now: Date.now, randomBytes: (count) => randomBytes(count) };

/** For a first fetch of something large; a browser asks again before that. */
const syncMs = 30 * 60 * 1000;
const linkMs = 15 * 60 * 1000;

/** Builds everything, and closes it in reverse. Whatever fails on the way closes what was built before it. */
export async function startServer(options: ServerOptions): Promise<Server> {
  const { config, log, version, assets, guestExecutable } = options;
  const { dataFolder } = config;
  const ids = idSource;
  const agents = createAgents(config.agents);
  const closers: (() => unknown)[] = [];
  const close = async () => {
    for (const step of closers.splice(0).reverse()) {
      try {
        await step();
      } catch (thrown) {
        log.error("a part could not be closed", { reason: messageOf(thrown) });
      }
    }
  };

  try {
    prepareDataFolder(dataFolder);
    const lock = lockDataFolder(dataFolder);
    closers.push(() => lock.release());
    const key = loadSealKey(dataFolder);
    const { allowedRanges, caFile, keepDays, keepRows, upstreamProxy } = config.egress;
    const store = openStore(join(dataFolder, "ccw.sqlite"), createSeal(key), ids, {
      log,
      keepDays,
      keepRows,
    });
    closers.push(() => store.close());

    const demo = startDemoModel();
    closers.push(() => demo.close());
    const model = createModelSettings(
      store,
      options.demo ? "demo" : config.model,
      demo,
      config.responsesModel,
    );
    let ownPort = 0;
    const authorities = readAuthorities(caFile);
    const repositories = await openRepositories({
      ...{ config, store, log, now: ids.now },
      authorities: authorities.trusted,
      ownPort: () => ownPort,
    });
    closers.push(() => repositories.close());
    const { hosted, forges, host, kept, snapshots, teleports } = repositories;
    const applianceId = applianceIdOf(key);
    const engine = createReconnectingEngine(async () => {
      const { connection } = await connectAppliance(config, log);
      const { docker, traits } = connection;
      return { connection, engine: createEngine({ docker, traits, applianceId, guestExecutable, log }) };
    });
    closers.push(() => engine.close());

    let url = "";
    const tokens = createScopedTokens(key);
    const egress = createEgressPort({
      ...{ store, log, now: ids.now, endpoints: model.all },
      forgeSecrets: forges.secrets,
    });
    closers.push(() => egress.close());
    const authority = await openAuthority({ folder: join(dataFolder, "authority"), now: ids.now });
    const trust = openUpstreamTrust(authorities);
    const attachments = openAttachmentFiles({
      folder: join(dataFolder, "attachments"),
      maxBytes: config.attachmentBytes,
    });
    const session = {
      ...{ store, tokens, host, kept, snapshots, egress, attachments },
      ...{ publicUrl: () => url, lfs: repositories.lfsOf, snapshotIgnored: config.snapshots.ignored },
      agents,
      attribution: config.attribution,
      authorities: `${authority.certificatePem}\n${authorities.local.join("")}`,
    };
    const usageLimits = createUsageLimits({ store, endpoint: model.current, now: ids.now });
    const modelDoor = createModelDoor({
      port: createModelPort({
        ...config.usage,
        ...{ store, endpoint: model.of, usageLimits, agents, now: ids.now },
      }),
      tokens,
      log,
      now: ids.now,
      ca: readCa(config),
    });
    closers.push(() => modelDoor.close());
    const egressDoor = createEgressDoor({
      port: egress,
      ledger: store.egress.ledger,
      authority,
      lookup: lookUp,
      whyNot: vetAddresses({ allowedRanges, ownPort: () => ownPort, now: ids.now }),
      proxy: upstreamProxyOf(upstreamProxy),
      trust,
      refused: createRefusalRecord(store, log),
      failed: (thrown) => log.error("an egress connection failed", { reason: messageOf(thrown) }),
      decided: (fields) => log.every("egress", fields),
      now: ids.now,
    });
    closers.push(() => log.flush());
    closers.push(() => egressDoor.close());
    const doors = createDoors({
      folder: join(dataFolder, "doors"),
      ways: {
        session: createControlDoor({ port: createControlPort(session), log }),
        model: modelDoor.handle,
        git: createGitDoor({ port: createGitPort(session), tokens, log }),
      },
      egress: egressDoor,
      log,
    });
    closers.push(() => doors.shut());

    const scheduler = createScheduler(
      { store, engine, doors, host, log, ids, agents, ...config.patience },
      {
        ...{ owner: crypto.randomUUID(), parallel: config.parallel, keepMs: config.keepMs },
        modelAvailableAt: usageLimits.modelAvailableAt,
      },
    );
    const forgeOf = (repository: Repository) =>
      repository.kind === "remote" ? forges.apiOf(repository.forge) : undefined;
    const review = { store, host, ids, log, publicUrl: () => url, forgeOf };
    const pullRequests = createPullRequests(review);
    const follower = createPullRequestFollower(review);
    const scheduleClock = createScheduleClock({ store, host, ids, log, agents });
    const owed = createOwedPullRequests({ store, pullRequests, log, now: ids.now });
    const indexer = createSearchIndexer({ store, log });
    const deletions = createDeletions({
      store,
      belongings: [snapshots, attachmentFilesOf(store, attachments), keptWorkOf(store, kept)],
      log,
      now: ids.now,
    });
    const waysOut = openNotifications({
      ...{ config, authorities: authorities.trusted },
      ...{ ownPort: () => ownPort, now: ids.now },
    });
    closers.push(() => waysOut.close());
    const notifications = createNotifications({
      ...{ store, log, now: ids.now, random: Math.random },
      ...{ send: waysOut.send, publicUrl: () => url },
    });
    const operator = store.people.ensure(operatorName());

    const app = createApp({
      store,
      host,
      kept,
      reasonFor: scheduler.reasonFor,
      snapshots,
      attachments,
      teleports,
      ids,
      agents,
      log,
      version,
      parallel: config.parallel,
      deleteAfterMs: config.deleteAfterMs,
      usage: { calendar: config.usage.calendar, limits: usageLimits },
      publicUrl: () => url,
      ...{ pullRequests, follower, notifications },
      judgeChannel: waysOut.judge,
      sendsMail: config.notifications.mail !== undefined,
      hostNames: [
        ...config.hostNames,
        ...(config.publicUrl === "" ? [] : [new URL(config.publicUrl).hostname]),
      ],
      model,
      engine: () => describe(engine),
      assets,
      forges,
      syncRepository: async (name) => {
        await host.objectsOf(name, AbortSignal.timeout(syncMs));
      },
      git: (request, target) =>
        handleGitForPeople({
          git: repositories.git,
          request,
          target,
          folder: hosted.pathOf(target.repository),
        }),
      gitAt: handleGitAt,
      lfs: (request, target) =>
        handleLfsForPeople({
          ...{ request, target, publicUrl: url },
          endpoint: repositories.lfsOf(target.repository),
        }),
    });
    const listener = listen(config, app.fetch);
    closers.push(() => listener.stop(true));
    ownPort = listener.port ?? config.port;
    url = config.publicUrl === "" ? urlOf(config.host, listener.port ?? config.port) : config.publicUrl;

    await furnish(store, hosted, model.current().kind === "demo", ids);
    closers.push(() => scheduler.close());
    scheduler.start();
    closers.push(
      () => follower.close(),
      () => owed.close(),
      () => notifications.close(),
      () => indexer.close(),
      () => deletions.close(),
      () => scheduleClock.close(),
    );
    follower.start();
    owed.start();
    notifications.start();
    indexer.start();
    deletions.start();
    const { now } = ids;
    const expiries = [
      startTicketExpiry({ store, snapshots, teleports, log }),
      startKeptExpiry({ store, kept, log, now }),
      startSnapshotExpiry({ store, snapshots, keepDays: config.snapshots.keepDays, log, now }),
      startUsageExpiry({ store, keepDays: config.usage.keepRequestDays, log, now }),
      startAttachmentSweep({ store, files: attachments, log, now }),
    ];
    closers.push(...expiries.map((each) => () => each.close()));
    scheduleClock.start();
    announce(store, dataFolder, operator.id, urlOf(config.host, listener.port ?? config.port));
    closers.push(() => rmSync(join(dataFolder, "server.json"), { force: true }));

    const expiresAt = ids.now() + linkMs;
    const secret = store.tokens.create({
      kind: "link",
      name: "sign-in link",
      person: operator.id,
      expiresAt,
    });
    const { kind, baseUrl } = model.current();
    const found = await describe(engine);
    const lines = [
      `ccw-server ${version}`,
      `  page     ${url}/`,
      `  data     ${dataFolder}`,
      `  engine   ${found.ok ? found.text : `NOT READY: ${found.text}`}`,
      `  model    ${kind === "demo" ? "DEMO MODEL: scripted answers, no real model. Set one up on the page." : baseUrl}`,
      "",
      "Sign in with this link, once and within 15 minutes (`ccw-server link` prints another):",
      `  ${url}/sign-in?token=${secret}`,
      "",
    ];
    return { url, welcome: lines.join("\n"), close };
  } catch (thrown) {
    await close();
    throw thrown;
  }
}

/** Names this appliance on an engine that it shares with others; follows from its key, so it stays the same. */
function applianceIdOf(key: Uint8Array): string {
  return new Bun.CryptoHasher("sha256").update("appliance").update(key).digest("hex").slice(0, 16);
}

function readCa({ download }: Config): string | undefined {
  return download.caFile === undefined ? undefined : readFileSync(download.caFile, "utf8");
}

async function describe(engine: SandboxEngine): Promise<{ ok: boolean; text: string }> {
  try {
    return { ok: true, text: await engine.describe() };
  } catch (thrown) {
    const text = thrown instanceof CcwError ? `${thrown.message} ${thrown.hint}`.trim() : messageOf(thrown);
    return { ok: false, text };
  }
}
