import { createHash, createHmac } from "node:crypto";
import type { Agents } from "../domain/agents.ts";
import { bytesText } from "../domain/amounts.ts";
import { type AttributionSettings, attributionOf } from "../domain/attribution.ts";
import type { EgressPort } from "../domain/egress.ts";
import { summarizeEgress } from "../domain/egress-summary.ts";
import { CcwError } from "../domain/errors.ts";
import { maxTranscriptBytes } from "../domain/event.ts";
import { isId, type SandboxId, type TaskId } from "../domain/ids.ts";
import type { LfsEndpoint } from "../domain/lfs.ts";
import type {
  AttachmentFiles,
  ControlPort,
  GitPort,
  KeptWork,
  RepositoryHost,
  ScopedTokens,
} from "../domain/ports.ts";
import type { Repository } from "../domain/repository.ts";
import { isSameSecret } from "../domain/same-secret.ts";
import {
  keptRepository,
  objectsInSandbox,
  type SessionCommand,
  sessionSnapshots,
  snapshotRepository,
} from "../domain/session.ts";
import type { SnapshotPlace, SnapshotRepositories } from "../domain/snapshots.ts";
import type { TaskRow } from "../domain/store/tasks.ts";
import type { Store } from "../domain/store.ts";
import { isActive } from "../domain/task.ts";
import { wakeUps } from "./follow.ts";
import { rewriteOnce, rewritingOf } from "./rewriting.ts";
import { restoreOf } from "./snapshots.ts";

/** What a sandbox's doors may do for it, derived from its task. A sandbox whose task has ended gets nothing. */
export interface SessionOptions {
  store: Store;
  tokens: ScopedTokens;
  host: RepositoryHost;
  kept: Pick<KeptWork, "endpointOf">;
  snapshots: Pick<SnapshotRepositories, "endpointOf" | "holds">;
  /** Whether snapshots hold files that git ignores, too. */
  snapshotIgnored: boolean;
  /** The large files of a repository; undefined where it has none. */
  lfs(name: string): LfsEndpoint | undefined;
  /** Where people reach the appliance, without a slash at the end. */
  publicUrl(): string;
  egress: Pick<EgressPort, "egressOf">;
  attachments: Pick<AttachmentFiles, "find">;
  /** PEM of the authorities that a sandbox has to trust: the appliance's own, and the operator's. */
  authorities: string;
  attribution: AttributionSettings;
  agents: Agents;
}

export function createScopedTokens(key: Uint8Array): ScopedTokens {
  const tokenFor: ScopedTokens["tokenFor"] = (sandboxId, purpose) =>
    `ccws_${createHmac("sha256", key).update(`${purpose}:${sandboxId}`).digest("base64url")}`;
  return {
    tokenFor,
    matches(sandboxId, purpose, token) {
      return isSameSecret(token, tokenFor(sandboxId, purpose));
    },
  };
}

/** `maxBytes`: what one sandbox may write into its transcript between two words of a person; the task fails beyond it. */
export function createControlPort(
  {
    store,
    tokens,
    publicUrl,
    egress,
    authorities,
    attribution,
    agents,
    attachments,
    snapshots,
    snapshotIgnored,
  }: SessionOptions,
  maxBytes = maxTranscriptBytes,
): ControlPort {
  const cloneUrlOf = (repository: Repository | undefined, name: string) =>
    repository?.kind === "remote" ? repository.cloneUrl : `${publicUrl()}/git/${name}.git`;
  return {
    async start(sandboxId) {
      const found = taskOf(store, sandboxId);
      const restore = found && (await restoreOf(store, snapshots, found));
      // It may have ended meanwhile.
      const task = taskOf(store, sandboxId);
      if (task === undefined) return undefined;
      const environment = store.tasks.environmentOf(task.id);
      const policy = egress.egressOf(sandboxId)?.policy;
      const agent = agents.named(task.agent);
      return {
        sandboxId,
        taskId: task.id,
        acked: store.sandboxes.get(sandboxId)?.acked ?? 0,
        lastCommand: store.sandboxes.lastCommand(sandboxId),
        repositories: task.repositories.map((repository, index) => ({
          ...repository,
          url: cloneUrlOf(store.repositories.get(repository.name), repository.name),
          ...(store.sandboxes.get(sandboxId)?.objectFolders[index] !== undefined && {
            objects: objectsInSandbox(index),
          }),
          ...(rewritingOf(store, task.id, repository.name).kind !== "none" && { rewrite: true }),
        })),
        ...attributionOf(attribution, {
          person: { name: task.person.name, email: store.people.emailOf(task.person.id) },
          agent: agent?.identity ?? { name: task.agent, email: "" },
          url: `${publicUrl()}/tasks/${task.id}`,
        }),
        variables: environment.variables,
        setupScript: environment.setupScript,
        trust: { certificate: authorities },
        agent: {
          ...{ kind: task.agent, model: task.model, mode: task.mode },
          sessionId: conversationOf(task.id),
          ...(agent?.acp !== undefined && { acp: agent.acp }),
        },
        snapshotIgnored,
        ...(restore !== undefined && { restore }),
        ...(policy !== undefined && { instructions: summarizeEgress(policy) }),
        tokens: { model: tokens.tokenFor(sandboxId, "model"), git: tokens.tokenFor(sandboxId, "git") },
      };
    },
    appendEvents: (sandboxId, events) =>
      store.atomically(() => {
        const full = () => (store.sandboxes.get(sandboxId)?.eventBytes ?? 0) > maxBytes;
        if (full()) throw new CcwError("too_large", "The transcript of this sandbox is full.");
        const acked = store.sandboxes.appendEvents(sandboxId, events);
        const task = full() ? taskOf(store, sandboxId) : undefined;
        if (task !== undefined) {
          store.events.append(task.id, {
            kind: "limit_reached",
            reason: `The task wrote more than ${bytesText(maxBytes)} into its transcript, which is the limit.`,
            hint: "What the agent had pushed is on its branch. Have long output written into files.",
          });
        }
        return acked;
      }),
    async *commands(sandboxId, after, signal): AsyncGenerator<SessionCommand> {
      let n = after;
      for await (const _ of wakeUps(store, sandboxId, signal)) {
        for (const command of store.sandboxes.commandsAfter(sandboxId, n, 100)) {
          n = command.n;
          yield command;
        }
      }
    },
    attachment: attachmentOf({ store, attachments }),
  };
}

/** What a prompt of the sandbox's own task has, and nothing else. */
export function attachmentOf({
  store,
  attachments,
}: Pick<SessionOptions, "store" | "attachments">): ControlPort["attachment"] {
  return async (sandboxId, id) => {
    const task = taskOf(store, sandboxId);
    const known = task !== undefined && isId("AttachmentId", id) ? store.attachments.get(id) : undefined;
    return known !== undefined && known.taskId === task?.id ? attachments.find(known.file) : undefined;
  };
}

/** A sandbox can have pushes refused without end; beyond this many its transcript shows no more of them. */
const maxRefusalsShown = 200;

export function createGitPort({
  store,
  host,
  kept,
  snapshots,
  lfs,
}: Pick<SessionOptions, "store" | "kept" | "lfs"> & {
  snapshots: Pick<SnapshotRepositories, "endpointOf">;
} & { host: Pick<RepositoryHost, "endpointOf"> }): GitPort {
  const shown = new Map<SandboxId, number>();
  const rewriting = new Set<string>();
  return {
    grantFor(sandboxId, name) {
      const task = taskOf(store, sandboxId);
      const place = task && placeOf(task, name);
      if (task !== undefined && place !== undefined) {
        const folders = store.sandboxes.get(sandboxId)?.objectFolders;
        const objects = place === "session" ? undefined : folders?.[place];
        return {
          name,
          right: { kind: "snapshots" },
          endpoint: snapshots.endpointOf(task.id, place, objects),
        };
      }
      const spare = task?.repositories.findIndex((_, index) => keptRepository(index) === name) ?? -1;
      const saved = task?.repositories[spare];
      if (task !== undefined && saved !== undefined) {
        // What is hosted here cannot be away.
        if (store.repositories.get(saved.name)?.kind !== "remote") return undefined;
        const objects = store.sandboxes.get(sandboxId)?.objectFolders[spare];
        return {
          name,
          right: { kind: "branch", branch: saved.workBranch, force: true, delete: false },
          endpoint: kept.endpointOf(task.id, saved.name, objects),
        };
      }
      const repository = task?.repositories.find((each) => each.name === name);
      const known = repository && store.repositories.get(name);
      if (task === undefined || repository === undefined || known === undefined) return undefined;
      return {
        name,
        right: {
          kind: "branch",
          branch: repository.workBranch,
          force: known.push.force,
          delete: known.push.delete,
        },
        endpoint: host.endpointOf(name),
        lfs: lfs(name),
        rewrite: rewriteOnce(store, task, repository, rewriting),
      };
    },
    refused(sandboxId, repository, ref, reason) {
      const task = taskOf(store, sandboxId);
      const before = shown.get(sandboxId) ?? 0;
      if (task === undefined || before >= maxRefusalsShown) return;
      // Few have any refused at all; those of sandboxes that are gone make room.
      for (const known of shown.keys()) if (taskOf(store, known) === undefined) shown.delete(known);
      shown.set(sandboxId, before + 1);
      store.events.append(task.id, { kind: "push_refused", repository, ref, reason });
    },
  };
}

/** Which of a task's snapshots a repository's name means, byte for byte; undefined where it means none. */
function placeOf(task: TaskRow, name: string): SnapshotPlace | undefined {
  if (name === sessionSnapshots) return "session";
  const index = task.repositories.findIndex((_, at) => snapshotRepository(at) === name);
  return index === -1 ? undefined : index;
}

/**
 * The task that this sandbox works for now: it is active, or waits for its place again, and this is its sandbox. One that waits may
 * be awake: an engine that does not answer may have started it all the same, and its agent goes on.
 */
export function taskOf(store: Store, sandboxId: SandboxId): TaskRow | undefined {
  const record = store.sandboxes.get(sandboxId);
  if (record === undefined || record.endedAt !== undefined) return undefined;
  const task = store.tasks.get(record.taskId);
  if (task === undefined) return undefined;
  const { state } = task;
  const own = isActive(state)
    ? state.sandboxId
    : state.kind === "queued"
      ? store.sandboxes.current(task.id)?.id
      : undefined;
  return own === sandboxId ? task : undefined;
}

/** The agent's conversation is named by a UUID (RFC 9562, version 8) made from the task's id. */
function conversationOf(taskId: TaskId): string {
  const bytes = createHash("sha256").update(`conversation:${taskId}`).digest().subarray(0, 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
