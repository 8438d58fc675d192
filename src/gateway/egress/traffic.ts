import type {
  DenyCode,
  EgressEntry,
  EgressLedger,
  EgressPort,
  EgressVerdict,
  InjectedCredential,
  SandboxEgress,
} from "../../domain/egress.ts";
import { type EgressDecision, type EgressPolicy, withTakenGrant } from "../../domain/egress-policy.ts";
import { type Host, hostText } from "../../domain/host.ts";
import type { SandboxId, TaskId } from "../../domain/ids.ts";
import type { LogFields } from "../../domain/ports.ts";
import type { Asker } from "../wire/socket-wire.ts";
import { decisionLine } from "./decision-line.ts";
import { echoesOf } from "./filter/echoes.ts";
import { createNameSearch } from "./filter/name-search.ts";
import { redactTarget } from "./filter/query-redaction.ts";
import { createRedaction, type Redaction } from "./filter/redaction.ts";
import { createSecretSearch, type SecretSearch } from "./filter/secret-search.ts";
import { createTrafficLimits, type TrafficLimits } from "./limits.ts";
import { type Refusal, refusalOf, shown } from "./refusal.ts";

/** What a ledger row says of a request before anything is decided. */
export interface Attempt {
  kind: EgressEntry["kind"];
  host: Host;
  port: number;
  method: string;
  /** Path and query as sent; empty for a tunnel. */
  path: string;
  /** The request's head was searched, and holds no secret. */
  searched: boolean;
  /** It stands inside a connection that has taken a grant for one connection. */
  granted: boolean;
}

/** One admitted request or tunnel, from its decision to its end: ledger, limits and cutting in one hand. */
export interface Passage extends Asker {
  readonly rule: string;
  /** Its grant was good for this one connection, and is taken. */
  readonly granted: boolean;
  /** Bytes about to leave the sandbox; false where its budget does not have them: then the passage must end. */
  up(bytes: number): boolean;
  down(bytes: number): void;
  /** Where it was dialled to. */
  reached(address: string): void;
  /** Calls back when a tightened policy forbids it; what runs must end at once. */
  onCut(cut: (refusal: Refusal) => void): void;
  /** Once; later calls do nothing. */
  end(verdict: EgressVerdict, reason: string, status: number): void;
}

/** All that one sandbox sends, and what bounds it. */
export interface Traffic {
  readonly sandbox: { id: SandboxId; taskId: TaskId };
  /** In force now; undefined for a sandbox whose task has ended. */
  egress(): SandboxEgress | undefined;
  search(): SecretSearch;
  /** False while so much was refused that the next request is to wait. */
  mayAsk(): boolean;
  /** What the proxy adds on the way to this host. */
  credentialsFor(host: Host): readonly InjectedCredential[];
  /** Blots those out of what this host answers. */
  echoesAt(host: Host): Redaction;
  /** Carries a decision out: limits, one-time grants, requests for access, the ledger's row and the log's line. */
  admit(attempt: Attempt, decide: (policy: EgressPolicy) => EgressDecision): Admission;
  /** A refusal after or without a decision; it is written down and, where it helps, shown to the person. */
  refuse(attempt: Attempt | undefined, refusal: Refusal): void;
  /** Secret found, budget spent: what a person should know. */
  notice(text: string): void;
  /** Called when policies may have changed: cuts what they forbid now. */
  review(): void;
}

export type Admission =
  | { ok: true; passage: Passage; decision: Extract<EgressDecision, { allowed: true }> }
  | { ok: false; refusal: Refusal };

export interface TrafficOptions {
  port: EgressPort;
  ledger: EgressLedger;
  /** Called for each refusal that no person was asked to lift. */
  refused(sandbox: { id: SandboxId; taskId: TaskId }, target: string, reason: DenyCode): void;
  /** One line for each decision. */
  decided(fields: LogFields): void;
  now(): number;
}

const policyFor = (attempt: Attempt, policy: EgressPolicy, granted: boolean): EgressPolicy =>
  granted ? withTakenGrant(policy, attempt.host, attempt.port) : policy;

const ended = refusalOf("no-egress", "the task has ended");

export function createTraffic(
  sandbox: { id: SandboxId; taskId: TaskId },
  { port, ledger, refused, decided, now }: TrafficOptions,
): Traffic {
  let limits: TrafficLimits | undefined;
  let known: SandboxEgress | undefined;
  let search = createSecretSearch([]);
  let redaction = createRedaction([]);
  let inNames = createNameSearch([]);
  const echoes = new Map<string, Redaction>();
  const live = new Set<() => void>();

  const current = (): SandboxEgress | undefined => {
    const egress = port.egressOf(sandbox.id);
    if (egress === known || egress === undefined) return egress;
    if (known?.secrets !== egress.secrets) {
      search = createSecretSearch(egress.secrets);
      redaction = createRedaction(egress.secrets.map(({ value }) => value));
      inNames = createNameSearch(egress.secrets);
    }
    if (limits === undefined) limits = createTrafficLimits(egress.limits, port.uploaded(sandbox.id), now);
    else limits.update(egress.limits);
    known = egress;
    echoes.clear();
    return egress;
  };

  const credentialsFor = (host: Host): readonly InjectedCredential[] =>
    known?.credentials.filter((credential) => credential.host === host.text) ?? [];

  const rowOf = (attempt: Attempt | undefined): Omit<EgressEntry, "verdict" | "reason" | "status"> => ({
    sandboxId: sandbox.id,
    taskId: sandbox.taskId,
    at: now(),
    kind: attempt?.kind ?? "http",
    host: inNames.blotted(attempt?.host.text ?? ""),
    port: attempt?.port ?? 0,
    method: attempt?.method ?? "",
    path:
      attempt === undefined || attempt.path === ""
        ? ""
        : redactTarget(attempt.path, attempt.searched ? undefined : redaction),
    address: "",
    bytesUp: 0,
    bytesDown: 0,
    ms: 0,
  });

  const tell = (row: EgressEntry) => decided(decisionLine(row));

  const refuse = (attempt: Attempt | undefined, refusal: Refusal) => {
    current();
    limits?.refused();
    const row: EgressEntry = {
      ...rowOf(attempt),
      ...(refusal.about !== undefined && { host: shown(inNames.blotted(refusal.about)) }),
      verdict: "refused",
      reason: refusal.code,
      status: refusal.status,
    };
    tell(row);
    ledger.open(row)({ ...row });
    if (refusal.access === undefined)
      refused(
        sandbox,
        attempt === undefined ? "" : inNames.blotted(`${hostText(attempt.host)}:${attempt.port}`),
        refusal.code,
      );
  };

  const turnAway = (attempt: Attempt, refusal: Refusal): Admission => {
    refuse(attempt, refusal);
    return { ok: false, refusal };
  };

  const asked = (attempt: Attempt, refusal: Refusal): Admission =>
    turnAway(attempt, {
      ...refusal,
      access: port.requestAccess(sandbox.id, attempt.host.text, attempt.port, refusal.code),
    });

  return {
    sandbox,
    egress: current,
    search: () => search,
    mayAsk: () => limits?.mayAsk !== false,
    credentialsFor,
    echoesAt(host) {
      const made =
        echoes.get(host.text) ??
        createRedaction(credentialsFor(host).flatMap((each) => echoesOf(each, known?.secrets ?? [])));
      echoes.set(host.text, made);
      return made;
    },
    refuse,
    notice: (text) => port.notice(sandbox.id, inNames.blotted(text)),
    admit(attempt, decide) {
      const egress = current();
      if (egress === undefined || limits === undefined) return turnAway(attempt, ended);
      const secret = inNames.secretIn(attempt.host.text);
      if (secret !== undefined) {
        const text = `the host's name carries ${secret}, which must not leave`;
        port.notice(sandbox.id, `A request was stopped: ${text} this appliance.`);
        return turnAway(attempt, refusalOf("secret-found", text));
      }
      const decision = decide(policyFor(attempt, egress.policy, attempt.granted));
      if (!decision.allowed) {
        const refusal = refusalOf(decision.code, decision.text);
        return decision.grantable ? asked(attempt, refusal) : turnAway(attempt, refusal);
      }
      const named = decision.exact ? undefined : limits.name(decision.rule, attempt.host.text);
      if (named?.ok === false) return turnAway(attempt, refusalOf(named.code, named.text));
      const begun = limits.begin();
      if (!begun.ok) return turnAway(attempt, refusalOf(begun.code, begun.text));
      const once = decision.once && !attempt.granted;
      if (once && !port.takeOnce(sandbox.id, attempt.host.text, attempt.port)) {
        begun.release();
        return asked(
          attempt,
          refusalOf("host-not-allowed", `the leave for ${hostText(attempt.host)} is spent`),
        );
      }

      const row: EgressEntry = { ...rowOf(attempt), verdict: "allowed", reason: decision.rule, status: 0 };
      tell(row);
      const close = ledger.open(row);
      const granted = once || attempt.granted;
      const budget = limits;
      let gone: () => void = () => {};
      let bytesUp = 0;
      let bytesDown = 0;
      let address = "";
      let over = false;
      let cut: (refusal: Refusal) => void = () => {};
      const review = () => {
        const egress = current();
        const again = egress && decide(policyFor(attempt, egress.policy, granted));
        if (again?.allowed === true && again.treatment === decision.treatment) return;
        cut(refusalOf("policy-changed", "the policy was changed while this ran, and forbids it now"));
      };
      live.add(review);
      return {
        ok: true,
        decision,
        passage: {
          rule: decision.rule,
          granted,
          get gone() {
            return over;
          },
          onGone(then) {
            gone = then;
          },
          up(bytes) {
            const before = budget.uploaded;
            const fits = budget.upload(bytes);
            if (budget.uploaded > before) ledger.sent(sandbox.id, budget.uploaded - before);
            if (fits) bytesUp += bytes;
            return fits;
          },
          down(bytes) {
            bytesDown += bytes;
          },
          reached(vetted) {
            address = vetted;
          },
          onCut(then) {
            cut = then;
          },
          end(verdict, reason, status) {
            if (over) return;
            over = true;
            live.delete(review);
            begun.release();
            gone();
            if (verdict === "refused" || verdict === "cut") tell({ ...row, verdict, reason });
            close({ address, verdict, reason, status, bytesUp, bytesDown, ms: now() - row.at });
          },
        },
      };
    },
    review() {
      for (const look of [...live]) look();
    },
  };
}
