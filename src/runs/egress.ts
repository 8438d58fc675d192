import type { AccessRequest } from "../domain/access-request.ts";
import type { EgressPort, InjectedCredential, SandboxEgress, Secret } from "../domain/egress.ts";
import { compileEgressPolicy, type EgressGrant, type EgressPolicy } from "../domain/egress-policy.ts";
import type { Environment } from "../domain/environment.ts";
import { egressSchema, parseCredentialHost, secretOf } from "../domain/environment-egress.ts";
import { messageOf } from "../domain/errors.ts";
import { hostsOfForges } from "../domain/forge-address.ts";
import type { SandboxId, TaskId } from "../domain/ids.ts";
import type { ModelEndpoint } from "../domain/model.ts";
import type { Log } from "../domain/ports.ts";
import { isSecretVariable, minSecretLength } from "../domain/secret-names.ts";
import type { Store } from "../domain/store.ts";
import { isActive } from "../domain/task.ts";
import { type AccessDesk, createAccessDesk } from "./access-requests.ts";
import { taskOf } from "./session.ts";

export interface EgressPortOptions {
  store: Store;
  log: Log;
  now(): number;
  /** The model endpoints in force now: their keys must not leave, and no credential is injected for their hosts. */
  endpoints(): readonly ModelEndpoint[];
  /** Of the forges that are connected; no credential is injected for their hosts either. */
  forgeSecrets(): Secret[];
}

/** A sandbox that finds ever new ways to be refused fills no transcript. */
const maxNotices = 200;
const maxNoticeText = 2000;

/** An environment that cannot be read is not read again, and not logged again, for each request. */
const retryMs = 5000;

interface Known {
  /** Undefined where it could not be made: nothing may pass. */
  made: { taskId: TaskId; egress: SandboxEgress } | undefined;
  /** When a grant in it runs out, milliseconds since the epoch. */
  until: number;
}

/**
 * What a sandbox may reach, from its environment as it is now and the grants of its task. Kept until something it is
 * made of changes, and made anew at the next request.
 */
export function createEgressPort(options: EgressPortOptions): EgressPort & { close(): void } {
  const { store, log, now } = options;
  const known = new Map<SandboxId, Known>();
  const notices = new Map<SandboxId, { taskId: TaskId; said: Set<string> }>();
  const listeners = new Set<() => void>();
  const desk: AccessDesk = createAccessDesk(options);

  const tell = () => {
    for (const listener of listeners) {
      // Called behind a commit: what fails in a listener must not look as if the change had failed.
      try {
        listener();
      } catch (thrown) {
        log.error("a change of egress could not be told", { reason: messageOf(thrown) });
      }
    }
  };
  /** Costs far less than the whole task, and is asked at every change of any. */
  const worksFor = (sandboxId: SandboxId, taskId: TaskId) => {
    const state = store.tasks.stateOf(taskId);
    return state !== undefined && isActive(state) && state.sandboxId === sandboxId;
  };
  const offs = [
    store.wakes.on("policy", () => {
      known.clear();
      desk.forget();
      tell();
    }),
    store.wakes.on("tasks", () => {
      for (const [id, { taskId }] of notices) if (!worksFor(id, taskId)) notices.delete(id);
      const ended = [...known].filter(([id, { made }]) => made !== undefined && !worksFor(id, made.taskId));
      for (const [id, { until }] of known) if (now() >= until) known.delete(id);
      if (ended.length === 0) return;
      for (const [id] of ended) known.delete(id);
      desk.forget();
      tell();
    }),
  ];

  /** What fails here is a defect or a disk; the traffic goes on without, and nothing more is let through for it. */
  const guarded = <Result>(
    what: string,
    sandboxId: SandboxId,
    otherwise: Result,
    work: () => Result,
  ): Result => {
    try {
      return work();
    } catch (thrown) {
      log.error(what, { sandbox: sandboxId, reason: messageOf(thrown) });
      return otherwise;
    }
  };

  return {
    egressOf(sandboxId) {
      const found = known.get(sandboxId);
      if (found !== undefined && now() < found.until) return found.made?.egress;
      const failed: Known = { made: undefined, until: now() + retryMs };
      const next = guarded("a sandbox's egress policy cannot be made", sandboxId, failed, () =>
        egressNow(sandboxId, options),
      );
      if (next === undefined) known.delete(sandboxId);
      else known.set(sandboxId, next);
      return next?.made?.egress;
    },
    // What cannot be read is taken for spent.
    uploaded: (sandboxId) =>
      guarded("uploaded bytes cannot be read", sandboxId, Number.POSITIVE_INFINITY, () =>
        store.egress.uploaded(sandboxId),
      ),
    requestAccess: (sandboxId, host, port, reason) =>
      guarded("an access request cannot be written", sandboxId, "not-asked", () => {
        const { made } = known.get(sandboxId) ?? egressNow(sandboxId, options) ?? {};
        // Where there is no egress at all, no grant would have an effect.
        if (made === undefined || made.egress.policy.access === "none") return "not-asked";
        return desk.ask(made.taskId, host, port, reason);
      }),
    takeOnce: (sandboxId, host, port) =>
      guarded("a grant cannot be taken", sandboxId, false, () => {
        const taskId = taskOf(store, sandboxId)?.id;
        const grant =
          taskId && onceGrants(store, taskId, now()).find((each) => each.host === host && each.port === port);
        if (grant === undefined || grant.state.kind !== "granted-once") return false;
        const { person, at } = grant.state;
        store.access.set(grant.id, { kind: "used", person, at });
        known.delete(sandboxId);
        desk.forget();
        return true;
      }),
    notice: (sandboxId, text) =>
      guarded("a notice cannot be written", sandboxId, undefined, () => {
        const cut = text.slice(0, maxNoticeText);
        const taskId = notices.get(sandboxId)?.taskId ?? taskOf(store, sandboxId)?.id;
        if (taskId === undefined) return;
        const { said } = notices.get(sandboxId) ?? { said: new Set<string>() };
        if (said.has(cut) || said.size >= maxNotices) return;
        notices.set(sandboxId, { taskId, said: said.add(cut) });
        store.events.append(taskId, { kind: "appliance_notice", level: "warning", text: cut });
      }),
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    close() {
      for (const off of offs) off();
    },
  };
}

/** Undefined for a sandbox without a task that is active. */
function egressNow(
  sandboxId: SandboxId,
  { store, now, endpoints, forgeSecrets }: EgressPortOptions,
): Known | undefined {
  const task = taskOf(store, sandboxId);
  if (task === undefined) return undefined;
  const environment = store.environments.get(task.environment);
  const once = onceGrants(store, task.id, now());
  const granted = store.access
    .list({ taskId: task.id, kinds: ["granted"], limit: 1000 })
    .filter(({ state }) => state.kind === "granted" && state.scope === "task");
  const grants = [
    ...granted.map(({ host, port }) => ({ host, port, scope: "task" as const })),
    ...once.map(({ host, port }) => ({ host, port, scope: "once" as const })),
  ];
  const { credentials, limits } = environment?.egress ?? egressSchema.parse({});
  const models = endpoints();
  const forges = hostsOfForges(store.forges.list());
  const untils = once.map(({ state }) => (state.kind === "granted-once" ? state.until : 0));
  return {
    until: Math.min(...untils, Number.POSITIVE_INFINITY),
    made: {
      taskId: task.id,
      egress: {
        policy: policyOf(environment, grants),
        limits,
        secrets: secretsOf(environment, store.tasks.environmentOf(task.id).variables, models, forgeSecrets()),
        credentials: credentials
          .filter(({ host }) => !forges.has(host))
          .flatMap((each) => injected(each, environment?.secrets ?? {}, models)),
      },
    },
  };
}

/**
 * Of an environment as it is now; where it is gone, nothing is allowed. Throws `invalid` where a stored rule cannot be
 * read any more.
 */
export function policyOf(environment: Environment | undefined, grants: readonly EgressGrant[]): EgressPolicy {
  if (environment === undefined)
    return compileEgressPolicy({ access: "none", allow: [], deny: [], groupsOff: [], grants: [] });
  const { access, egress } = environment;
  const { allow, deny, groupsOff, credentials } = egress;
  const credentialHosts = credentials.flatMap(({ host }) => {
    const parsed = parseCredentialHost(host);
    return parsed.ok ? [parsed.value] : [];
  });
  return compileEgressPolicy({ access, allow, deny, groupsOff, grants, credentialHosts });
}

function onceGrants(store: Store, taskId: TaskId, now: number): AccessRequest[] {
  return store.access
    .list({ taskId, kinds: ["granted-once"], limit: 1000 })
    .filter(({ state }) => state.kind === "granted-once" && now < state.until);
}

/** What must not leave, whoever asks: by name, so that a finding can be told without its value. */
function secretsOf(
  environment: Environment | undefined,
  variables: Readonly<Record<string, string>>,
  models: readonly ModelEndpoint[],
  forgeSecrets: readonly Secret[],
): Secret[] {
  const all: Secret[] = [
    ...models.flatMap(({ kind, credential }) =>
      kind === "demo" ? [] : [{ name: "the model's key", value: credential.value.replace(/^Bearer /, "") }],
    ),
    ...forgeSecrets,
    ...Object.entries(environment?.secrets ?? {}).map(([name, value]) => ({ name: `secret ${name}`, value })),
    ...Object.entries(variables)
      .filter(([name, value]) => isSecretVariable(name, value))
      .map(([name, value]) => ({ name: `environment variable ${name}`, value })),
  ];
  const seen = new Set<string>();
  return all.filter(({ value }) => value.length >= minSecretLength && !seen.has(value) && seen.add(value));
}

/** None where its secret is gone, or where the host has become the model's since it was saved. */
function injected(
  { host, header, template }: Environment["egress"]["credentials"][number],
  secrets: Readonly<Record<string, string>>,
  models: readonly ModelEndpoint[],
): InjectedCredential[] {
  const name = secretOf(template) ?? "";
  const value = Object.hasOwn(secrets, name) ? secrets[name] : undefined;
  if (value === undefined || models.some((model) => host === hostOfModel(model))) return [];
  // As a function: in a replacement's text `$&` and the like have a meaning.
  return [{ host, header, value: template.replace(`\${${name}}`, () => value) }];
}

/** Undefined for the demo model, which no sandbox could reach by itself. */
export function hostOfModel(model: ModelEndpoint): string | undefined {
  return model.kind === "endpoint" ? new URL(model.baseUrl).hostname.replace(/^\[|\]$|\.$/g, "") : undefined;
}
