import { type DefaultGroup, defaultGroups } from "./default-allowlist.ts";
import type { DenyCode } from "./egress.ts";
import { type EgressRule, formatEgressRule, parseEgressRule, webPorts } from "./egress-rule.ts";
import type { AccessLevel } from "./environment.ts";
import { CcwError } from "./errors.ts";
import { type Host, hostText, type Parsed } from "./host.ts";
import {
  formatHostPattern,
  type HostPattern,
  indexPatterns,
  type PatternIndex,
  parseHostPattern,
} from "./host-pattern.ts";
import { faultCodes, faultOf, isGuarded, isNarrow, type Permit } from "./permit.ts";
import { printable } from "./push-policy.ts";
import type { RequestHead } from "./request-reading.ts";

/** What an environment and its task's grants say of egress. */
export interface EgressSource {
  access: AccessLevel;
  /** Rules, as `parseEgressRule` takes them. */
  allow: readonly string[];
  /** Host patterns that win over everything. */
  deny: readonly string[];
  /** Names of groups of the default list that are switched off. */
  groupsOff: readonly string[];
  /** Given by a person to this task. `once`: for one connection. */
  grants: readonly EgressGrant[];
  /**
   * Hosts that the appliance adds a credential for. They are inspected on every port, since nothing can be added to what
   * is not read; the one way around is `raw`.
   */
  credentialHosts?: readonly Host[];
}

export interface EgressGrant {
  /** `Host.text`. */
  host: string;
  port: number;
  scope: "once" | "task";
}

/** Compiled by `compileEgressPolicy`; a decision takes about a microsecond. */
export interface EgressPolicy {
  readonly access: AccessLevel;
  readonly denied: PatternIndex<string>;
  readonly permits: PatternIndex<Permit>;
  /** Names of groups of the default list that are switched off, by their hosts. */
  readonly switchedOff: PatternIndex<string>;
  /** By their text. */
  readonly credentialHosts: ReadonlyMap<string, Host>;
  /** What is in force, for `summarizeEgress`. */
  readonly groups: readonly DefaultGroup[];
  readonly allow: readonly EgressRule[];
}

export type EgressDecision =
  | {
      allowed: true;
      /** The rule that let it, in words a person can find again: `registry.npmjs.org (default list)`. */
      rule: string;
      /**
       * `pass`: TLS goes through unread, SNI checked. `inspect`: the appliance ends TLS and reads each request.
       * `raw`: any protocol, unread.
       */
      treatment: "pass" | "inspect" | "raw";
      /**
       * The rule names this very host. Otherwise it is a wildcard or Full access, which let endlessly many names, each
       * of them a message to who serves it.
       */
      exact: boolean;
      /** A grant that is good for one connection let it: take it, and go on with `withTakenGrant`. */
      once: boolean;
    }
  | EgressRefusal;

export interface EgressRefusal {
  allowed: false;
  code: DenyCode;
  /** A sentence without a full stop at the end: `evil.example is not on this environment's list`. */
  text: string;
  /** Whether a person may lift it for this host and port. */
  grantable: boolean;
}

export interface EgressRequest extends RequestHead {
  host: Host;
  port: number;
}

/**
 * Throws CcwError `invalid` where a rule, pattern or group cannot be read, though it could when it was saved: with a
 * part of a policy missing, nothing may pass.
 */
export function compileEgressPolicy(source: EgressSource): EgressPolicy {
  const { access, allow, deny, groupsOff, grants, credentialHosts = [] } = source;
  const unknown = groupsOff.find((name) => !defaultGroups.some((group) => group.name === name));
  if (unknown !== undefined) throw unreadable(unknown, "the default list has no such group");
  const listed = access === "limited" ? defaultGroups : [];
  const groups = listed.filter(({ name }) => !groupsOff.includes(name));
  const off = listed.filter((group) => !groups.includes(group));
  const allowed = access === "none" ? [] : allow.map((text) => readable(text, parseEgressRule(text)));
  const permits: Permit[] = [
    ...allowed.map((rule) => ({ rule, label: `${formatEgressRule(rule)} (environment)`, once: false })),
    ...groups
      .flatMap(({ hosts }) => hosts)
      .map(({ host, pattern }) => ({
        rule: ruleFor(pattern),
        label: `${host} (default list)`,
        once: false,
      })),
    ...(access === "full"
      ? [{ rule: ruleFor({ kind: "everything" }), label: "full access", once: false }]
      : []),
    ...grants.map(permitOf),
  ];
  return {
    access,
    denied: indexPatterns(
      deny.map((text) => {
        const pattern = readable(text, parseHostPattern(text, "deny"));
        return [pattern, formatHostPattern(pattern)] as const;
      }),
    ),
    permits: indexPatterns(permits.map((permit) => [permit.rule.host, permit] as const)),
    switchedOff: indexPatterns(
      off.flatMap(({ name, hosts }) => hosts.map(({ pattern }) => [pattern, name] as const)),
    ),
    credentialHosts: new Map(credentialHosts.map((host) => [host.text, host])),
    groups,
    allow: allowed,
  };
}

/**
 * The policy for a connection that has taken a grant for once: the grant is gone from what is in force now, and good
 * for this connection until it ends. Everything else holds as it does for others, denials first.
 */
export function withTakenGrant(policy: EgressPolicy, host: Host, port: number): EgressPolicy {
  const taken = { ...permitOf({ host: host.text, port, scope: "once" }), once: false };
  const { everything, matches } = policy.permits;
  return {
    ...policy,
    permits: {
      everything,
      matches: (asked) => (asked.text === host.text ? [...matches(asked), taken] : matches(asked)),
    },
  };
}

/**
 * May a connection to this host and port be made at all? Judged before any lookup. What is denied stays so whatever
 * else is said; then any rule that permits, permits. An address is reached by a rule that names it alone: `*` and
 * Full access are about names.
 */
export function decideConnection(policy: EgressPolicy, host: Host, port: number): EgressDecision {
  const found = permitsFor(policy, host, port);
  if (!found.ok) return found.refusal;
  const { permits } = found;
  const raw = permits.find(({ rule }) => rule.tls === "raw");
  if (raw !== undefined) return allowedBy(raw, "raw");
  const exempt = permits.find(({ rule }) => rule.tls === "no-inspect");
  if (exempt !== undefined && !policy.credentialHosts.has(host.text)) return allowedBy(exempt, "pass");
  if (!isGuardedBy(policy, host, permits)) {
    const open = preferLasting(permits.filter((permit) => !isNarrow(permit, host)));
    if (open !== undefined) return allowedBy(open, "pass");
  }
  return allowedBy(preferLasting(permits) ?? found.first, "inspect");
}

/**
 * May this request, which the appliance can read, be sent? Includes what `decideConnection` says, and is the same
 * for `http` and for TLS that is inspected. On inspected hosts only reading passes, unless a rule says `write`, or
 * names the method of a host where not just anybody publishes; and no credential but the appliance's own, unless a
 * rule says `write` of such a host. (Where strangers publish, the sandbox's own token is as good as theirs: even a
 * rule to write there takes injected credentials only. `no-inspect` is the way around.) Headers that the appliance
 * replaces by its own are to be left out of the request.
 */
export function decideRequest(policy: EgressPolicy, request: EgressRequest): EgressDecision {
  const { host, port, method } = request;
  if (!/^[A-Z][A-Z-]{0,31}$/.test(method) || /^(?:CONNECT|TRACE|TRACK)$/.test(method)) {
    return refuse("method-not-supported", `the method ${printable(method).slice(0, 40)} never passes`);
  }
  const connection = decideConnection(policy, host, port);
  if (!connection.allowed || connection.treatment !== "inspect") return connection;
  const found = permitsFor(policy, host, port);
  if (!found.ok) return found.refusal;
  const guarded = isGuardedBy(policy, host, found.permits);
  const judged = found.permits.map((permit) => ({
    permit,
    fault: faultOf(permit, host, request, guarded),
  }));
  const permit = preferLasting(judged.filter(({ fault }) => fault === undefined).map((it) => it.permit));
  if (permit !== undefined) return allowedBy(permit, "inspect");
  // The rule that came closest says best what is wrong.
  const faults = judged.map(({ fault }) => fault).filter((fault) => fault !== undefined);
  const fault = faults.reduce((best, next) =>
    faultCodes.indexOf(next.code) > faultCodes.indexOf(best.code) ? next : best,
  );
  return refuse(fault.code, fault.text);
}

function isGuardedBy(policy: EgressPolicy, host: Host, permits: readonly Permit[]): boolean {
  return policy.credentialHosts.has(host.text) || isGuarded(host, permits);
}

type Found = { ok: true; first: Permit; permits: readonly Permit[] } | { ok: false; refusal: EgressRefusal };

function permitsFor(policy: EgressPolicy, host: Host, port: number): Found {
  if (policy.access === "none") {
    return no("no-egress", "this environment has no access to the internet", false);
  }
  const shown = hostText(host);
  const denial = policy.denied.matches(host)[0] ?? policy.denied.everything[0];
  if (denial !== undefined) {
    return no("host-denied", `${shown} is forbidden in this environment (deny ${denial})`, false);
  }
  const named = policy.permits.matches(host);
  const everything = host.kind === "address" ? [] : policy.permits.everything;
  const all = everything.length === 0 ? named : named.length === 0 ? everything : [...named, ...everything];
  if (all.length === 0) {
    const [group] = policy.switchedOff.matches(host);
    if (group !== undefined) {
      const text = `${shown} is in the group ${group} of the default list, which is switched off here`;
      return no("host-not-allowed", text, true);
    }
    return host.kind === "address"
      ? no("host-not-allowed", `the address ${shown} is not listed as such, and no name leads to it`, true)
      : no("host-not-allowed", `${shown} is not on this environment's list`, true);
  }
  const permits = all.every(({ rule }) => rule.ports.includes(port))
    ? all
    : all.filter(({ rule }) => rule.ports.includes(port));
  const first = permits[0];
  if (first !== undefined) return { ok: true, first, permits };
  const ports = [...new Set(all.flatMap(({ rule }) => rule.ports))].sort((a, b) => a - b);
  return no("port-not-allowed", `${shown} may be reached on port ${ports.join(", ")}, not on ${port}`, true);
}

function permitOf({ host, port, scope }: EgressGrant): Permit {
  const kind = /^[0-9.]+$|:/.test(host) ? "address" : "name";
  const rule = { ...ruleFor({ kind: "exact", host: { kind, text: host } }), ports: [port] };
  const label = `${formatEgressRule(rule)} (granted ${scope === "once" ? "once" : "for this task"})`;
  return { rule, label, once: scope === "once" };
}

function preferLasting(permits: readonly Permit[]): Permit | undefined {
  return permits.find(({ once }) => !once) ?? permits[0];
}

function allowedBy({ rule, label, once }: Permit, treatment: "pass" | "inspect" | "raw"): EgressDecision {
  return { allowed: true, rule: label, treatment, exact: rule.host.kind === "exact", once };
}

function refuse(code: DenyCode, text: string): EgressRefusal {
  return { allowed: false, code, text, grantable: false };
}

function no(code: DenyCode, text: string, grantable: boolean): Found {
  return { ok: false, refusal: { allowed: false, code, text, grantable } };
}

function ruleFor(host: HostPattern): EgressRule {
  return { host, ports: webPorts, methods: undefined, path: undefined, tls: "default", write: false };
}

function readable<Value>(text: string, parsed: Parsed<Value>): Value {
  if (!parsed.ok) throw unreadable(text, parsed.why);
  return parsed.value;
}

function unreadable(text: string, why: string): CcwError {
  return new CcwError(
    "invalid",
    `The environment's egress cannot be used: ${printable(text)}: ${why}.`,
    "Correct it in the environment; until then nothing passes.",
  );
}
