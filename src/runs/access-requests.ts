import type { AccessDecision, AccessRequest, AccessState } from "../domain/access-request.ts";
import type { AccessRequestState, DenyCode } from "../domain/egress.ts";
import { formatEgressRule, parseEgressRule } from "../domain/egress-rule.ts";
import type { Environment } from "../domain/environment.ts";
import { CcwError } from "../domain/errors.ts";
import { bracketed } from "../domain/host.ts";
import type { TaskId } from "../domain/ids.ts";
import type { Person } from "../domain/store/people.ts";
import type { Store } from "../domain/store.ts";
import { isEnded } from "../domain/task.ts";
import { existing } from "./submit.ts";

/** So many open questions nobody reads; the agent is told that nobody was asked. */
const maxPending = 200;
const maxKnown = 5000;
const onceMs = 3600_000;

export interface AccessContext {
  store: Store;
  now(): number;
}

/** Where refusals become requests to a person. */
export interface AccessDesk {
  ask(taskId: TaskId, host: string, port: number, reason: DenyCode): AccessRequestState;
  /** What is remembered of the requests may have changed. */
  forget(): void;
}

/** A refusal that was asked about before costs no write of its own: a flood of them is a counter. */
export function createAccessDesk({ store, now }: AccessContext): AccessDesk {
  const known = new Map<TaskId, Map<string, AccessRequest>>();

  const requestsOf = (taskId: TaskId) => {
    const found = known.get(taskId);
    if (found !== undefined) return found;
    const read = new Map(
      store.access
        .list({ taskId, limit: maxKnown })
        .map((request) => [keyOf(request.host, request.port), request]),
    );
    known.set(taskId, read);
    return read;
  };

  return {
    ask(taskId, host, port, reason) {
      const requests = requestsOf(taskId);
      const before = requests.get(keyOf(host, port));
      if (before?.state.kind === "pending") {
        store.access.repeat(before.id);
        return "asked";
      }
      let pending = 0;
      for (const request of requests.values()) {
        if (request.state.kind === "denied" && request.host === host) return "denied";
        if (request.state.kind === "pending") pending += 1;
      }
      // A grant that is in force and does not help: asking for the same again would not, either.
      if (before !== undefined && isInForce(store, before, now())) return "not-asked";
      if (pending >= maxPending || requests.size >= maxKnown) return "not-asked";
      const asked = store.atomically(() => {
        const request = store.access.ask({ taskId, host, port, reason });
        store.events.append(taskId, { kind: "access_requested", requestId: request.id, host, port, reason });
        return request;
      });
      requests.set(keyOf(host, port), asked);
      return "asked";
    },
    forget: () => known.clear(),
  };
}

/**
 * Carries out what a person decided. In effect when this returns. Throws `not_found`; `conflict` where the decision
 * can have no effect, with what would.
 *
 * Of a task that has ended, a request can be granted for the environment alone. That makes sense to a person even where
 * it expired: they read afterwards what the task lacked, and want the next one to have it. A grant for the task, or a
 * denial to it, would change nothing for anybody.
 */
export function decideAccess(
  { store, now }: AccessContext,
  person: Person,
  id: number,
  decision: AccessDecision,
): AccessRequest {
  return store.atomically(() => {
    const request = store.access.get(id);
    if (request === undefined) {
      throw new CcwError(
        "not_found",
        `There is no access request ${id}.`,
        "`ccw-server egress requests` shows what is asked for.",
      );
    }
    const task = existing(store, request.taskId);
    if (decision === "deny") refuseToDenyRule(store, request, task.environment);
    if (decision !== "environment" && isEnded(task.state.kind)) {
      throw new CcwError(
        "conflict",
        `The task that asked for ${request.host} is ${task.state.kind}, so ${decision === "deny" ? "denying it" : "a grant for it"} would have no effect.`,
        decision === "deny"
          ? "Leave it: it reaches nothing any more."
          : "Grant it for the environment, for the tasks to come.",
      );
    }
    if (decision !== "deny") refuseWithoutEgress(store, task.environment);
    const by = { person: person.name, at: now() };
    switch (decision) {
      case "deny":
        settle(store, request, { kind: "denied", ...by });
        break;
      case "once":
        settle(store, request, { kind: "granted-once", ...by, until: by.at + onceMs });
        break;
      case "task":
        settle(store, request, { kind: "granted", scope: "task", ...by });
        break;
      case "environment":
        allowInEnvironment(store, task.environment, ruleFor(request));
        // The same wish of other tasks in that environment is granted with it.
        for (const other of store.access.list({ kinds: ["pending"], limit: maxKnown })) {
          const same = other.host === request.host && other.port === request.port && other.id !== request.id;
          if (same && store.tasks.get(other.taskId)?.environment === task.environment)
            settle(store, other, { kind: "granted", scope: "environment", ...by });
        }
        settle(store, request, { kind: "granted", scope: "environment", ...by });
        break;
    }
    return store.access.get(id) ?? request;
  });
}

/** Writes the decision and tells the task of it. */
function settle(store: Store, { id, taskId, host, port }: AccessRequest, state: Decided): void {
  store.access.set(id, state);
  const told = { requestId: id, host, port, person: state.person };
  store.events.append(
    taskId,
    state.kind === "denied"
      ? { kind: "access_denied", ...told }
      : { kind: "access_granted", ...told, scope: state.kind === "granted" ? state.scope : "once" },
  );
}
type Decided = Extract<AccessState, { kind: "granted" | "granted-once" | "denied" }>;

/** The rule that lets through what was asked for, in its canonical text. */
function ruleFor({ host, port }: AccessRequest): string {
  const name = bracketed(host);
  const parsed = parseEgressRule(port === 80 || port === 443 ? name : `${name} port=${port}`);
  if (!parsed.ok) throw new CcwError("invalid", `No rule can allow ${host}: ${parsed.why}.`);
  return formatEgressRule(parsed.value);
}

/** A rule or grant has an effect only where the environment has egress at all. */
function refuseWithoutEgress(store: Store, name: string): Environment {
  const environment = store.environments.get(name);
  if (environment === undefined) {
    throw new CcwError(
      "conflict",
      `The environment ${name} is gone, so its tasks reach nothing and a grant would have no effect.`,
      "Submit the task again in another environment.",
    );
  }
  if (environment.access === "none") {
    throw new CcwError(
      "conflict",
      `The environment ${name} allows no egress at all (access none), so a grant would have no effect.`,
      `Give it another level first: ccw-server env edit ${name} --access limited.`,
    );
  }
  return environment;
}

function allowInEnvironment(store: Store, name: string, rule: string): void {
  const environment = refuseWithoutEgress(store, name);
  const { egress } = environment;
  if (egress.allow.includes(rule)) return;
  store.environments.save({ ...environment, egress: { ...egress, allow: [...egress.allow, rule] } });
}

function isInForce(store: Store, request: AccessRequest, now: number): boolean {
  const { state } = request;
  switch (state.kind) {
    case "granted-once":
      return now < state.until;
    case "granted": {
      if (state.scope === "task") return true;
      const environment = store.environments.get(store.tasks.get(request.taskId)?.environment ?? "");
      return environment?.egress.allow.includes(ruleFor(request)) === true;
    }
    case "pending":
    case "used":
    case "denied":
    case "expired":
      return false;
  }
}

/** What stands in the environment is not taken back by denying it to one task. */
function refuseToDenyRule(store: Store, request: AccessRequest, environment: string): void {
  const { state } = request;
  if (state.kind !== "granted" || state.scope !== "environment" || !isInForce(store, request, 0)) return;
  throw new CcwError(
    "conflict",
    `${request.host} was allowed for the environment ${environment}, not for this task alone.`,
    `Take the rule back: ccw-server env edit ${environment} --remove-allow '${ruleFor(request)}'.`,
  );
}

function keyOf(host: string, port: number): string {
  return `${host} ${port}`;
}
