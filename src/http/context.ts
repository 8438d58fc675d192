import type { Agents } from "../domain/agents.ts";
import type { Calendar } from "../domain/calendar.ts";
import type { Forge, ForgeApi, ForgeCredential } from "../domain/forge.ts";
import type { GitEndpoint, GitTarget, PushRight } from "../domain/git-server.ts";
import type { IdSource } from "../domain/ids.ts";
import type { LfsTarget } from "../domain/lfs.ts";
import type { JudgeChannel } from "../domain/notification-channel.ts";
import type { AttachmentFiles, KeptWork, Log, RepositoryHost } from "../domain/ports.ts";
import type { SnapshotRepositories } from "../domain/snapshots.ts";
import type { Person, Token } from "../domain/store/people.ts";
import type { Store } from "../domain/store.ts";
import type { TeleportRepositories } from "../domain/teleport.ts";
import type { PullRequestFollower } from "../runs/follow-pull-requests.ts";
import type { ModelSettings } from "../runs/model-settings.ts";
import type { Notifications } from "../runs/notifications.ts";
import type { PullRequests } from "../runs/pull-requests.ts";
import type { Scheduler } from "../runs/scheduler.ts";
import type { UsageLimits } from "../runs/usage-limits.ts";
import type { Assets } from "./assets.ts";

/** What the routes work with. */
export interface HttpContext {
  store: Store;
  host: RepositoryHost;
  kept: Pick<KeptWork, "push" | "of" | "tasks">;
  /** Why a queued task is not started though its turn may have come, in words; empty where it only waits for its turn. */
  reasonFor: Scheduler["reasonFor"];
  snapshots: SnapshotRepositories;
  attachments: Pick<AttachmentFiles, "maxBytes" | "take" | "find" | "remove">;
  teleports: TeleportRepositories;
  ids: IdSource;
  agents: Agents;
  log: Log;
  version: string;
  /** Tasks that run at once. */
  parallel: number;
  /** How long a deleted task can be restored (ms). */
  deleteAfterMs: number;
  /** Where people reach the appliance, without a slash at the end. */
  publicUrl(): string;
  /** Host names, besides IP addresses and localhost, under which the appliance may be addressed. */
  hostNames: readonly string[];
  pullRequests: PullRequests;
  follower: Pick<PullRequestFollower, "changed" | "follow" | "lookedAt">;
  notifications: Pick<Notifications, "test">;
  judgeChannel: JudgeChannel;
  /** Whether the operator has set up a mail server. */
  sendsMail: boolean;
  model: ModelSettings;
  usage: { calendar: Calendar; limits: UsageLimits };
  /** `podman 4.3.1`; the reason in words where no engine answers. */
  engine(): Promise<{ ok: boolean; text: string }>;
  assets: Assets;
  forges: {
    /** Undefined for a plain git server. Throws `not_found`. */
    apiOf(name: string): ForgeApi | undefined;
    /** With a credential that is not kept yet. */
    apiFor(forge: Forge, credential: ForgeCredential): ForgeApi | undefined;
    convertManifest(
      forge: Pick<Forge, "name" | "apiUrl">,
      code: string,
    ): Promise<Extract<ForgeCredential, { kind: "app" }>>;
  };
  /** Brings what the appliance has of a repository up to date. */
  syncRepository(name: string): Promise<void>;
  /** Git's smart HTTP for people; the repository exists. */
  git(request: Request, target: GitTarget): Promise<Response>;
  /** The same at any endpoint; `maxPackBytes` as in GitCall. */
  gitAt(call: {
    endpoint: Pick<GitEndpoint, "serve">;
    request: Request;
    target: GitTarget;
    right: PushRight;
    maxPackBytes?: number;
  }): Promise<Response>;
  /** The large files of a hosted repository. */
  lfs(request: Request, target: LfsTarget): Promise<Response>;
}

export type HttpEnv = { Variables: { person: Person; token: Token } };
