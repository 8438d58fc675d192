import type { DenyCode, EgressLimits } from "../../domain/egress.ts";

/** One sandbox's traffic against its limits. */
export interface TrafficLimits {
  /** A request or tunnel begins; release when it is over (idempotent). Checks connections and rate at once. */
  begin(): LimitVerdict;
  /**
   * A host that a wildcard or Full access let (`rule` says which). Names that were let before cost nothing. Counted are
   * distinct names in any minute, and ten times as many in the sandbox's life: each lookup can carry data out.
   */
  name(rule: string, host: string): { ok: true } | { ok: false; code: "too-many-names"; text: string };
  /**
   * Bytes about to be uploaded: false where they would exceed the budget. It counts as spent then, however little of it
   * was left: a person was told that nothing more leaves.
   */
  upload(bytes: number): boolean;
  /** A refusal was given. */
  refused(): void;
  /**
   * False where refusals came faster than anybody has use for. They are not among the requests a minute, and cost each a
   * row in the ledger and a line in the log: without a bound one sandbox could crowd out the rows of all.
   */
  readonly mayAsk: boolean;
  readonly uploaded: number;
  /** New limits; what was counted stays. */
  update(limits: EgressLimits): void;
}

export type LimitVerdict = { ok: true; release(): void } | { ok: false; code: DenyCode; text: string };

/** `now` in milliseconds; it may jump. Texts say which limit was met, its value, and when there is room again. */
export function createTrafficLimits(
  limits: EgressLimits,
  uploadedSoFar: number,
  now: () => number,
): TrafficLimits {
  let current = limits;
  let uploaded = uploadedSoFar;
  let open = 0;
  /** Requests that may begin at once: a bucket that holds a minute's amount and fills up evenly. */
  let tokens = limits.requestsPerMinute;
  let filledAt = now();
  /** Refusals that may be given at once; below zero by those that were under way. */
  let patience = refusalsAtOnce;
  let patienceAt = now();
  const names = new Set<string>();
  /** When the names of the last minute were new, oldest first. */
  let newNames: number[] = [];

  function refill(): void {
    const at = now();
    const earned = (Math.max(0, at - filledAt) * current.requestsPerMinute) / minute;
    tokens = Math.min(current.requestsPerMinute, tokens + earned);
    filledAt = at;
  }

  function regain(): void {
    const at = now();
    patience = Math.min(refusalsAtOnce, patience + (Math.max(0, at - patienceAt) * refusalsPerSecond) / 1000);
    patienceAt = at;
  }

  return {
    begin() {
      if (open >= current.connections) {
        return {
          ok: false,
          code: "too-many-connections",
          text: `This sandbox may have ${count(current.connections, "connection")} open at once, and has. Try again when one has ended.`,
        };
      }
      refill();
      if (tokens < 1) {
        const wait = ((1 - tokens) * minute) / current.requestsPerMinute;
        return {
          ok: false,
          code: "too-many-requests",
          text: `This sandbox may make ${count(current.requestsPerMinute, "request")} a minute. ${again(wait)}`,
        };
      }
      tokens -= 1;
      open += 1;
      let released = false;
      return {
        ok: true,
        release() {
          if (!released) open -= 1;
          released = true;
        },
      };
    },

    name(rule, host) {
      if (names.has(host)) return { ok: true };
      const refused = (text: string) => ({ ok: false, code: "too-many-names", text }) as const;
      const inLife = current.namesPerMinute * lifeFactor;
      if (names.size >= inLife) {
        return refused(
          `This sandbox may reach ${count(inLife, "different name")} in its life that no rule names one by one, and has; this one would be let by: ${rule}. Names it has reached go on working.`,
        );
      }
      const at = now();
      newNames = newNames.filter((time) => time <= at && at - time < minute);
      if (newNames.length >= current.namesPerMinute) {
        // So many of the oldest have to pass out of the minute; more than one when the limit was lowered.
        const oldest = newNames[newNames.length - current.namesPerMinute];
        const wait = oldest === undefined ? Number.POSITIVE_INFINITY : oldest + minute - at;
        return refused(
          `This sandbox may reach ${count(current.namesPerMinute, "new name")} a minute that no rule names one by one; this one would be let by: ${rule}. ${again(wait)}`,
        );
      }
      names.add(host);
      newNames.push(at);
      return { ok: true };
    },

    upload(bytes) {
      const fits = uploaded + bytes <= current.uploadBytes;
      uploaded = fits ? uploaded + bytes : Math.max(uploaded, current.uploadBytes);
      return fits;
    },

    refused() {
      regain();
      patience -= 1;
    },

    get mayAsk() {
      if (patience < 1) regain();
      return patience >= 1;
    },

    get uploaded() {
      return uploaded;
    },

    update(next) {
      refill();
      // What was taken from the old bucket is taken from the new one.
      tokens = Math.max(0, tokens + next.requestsPerMinute - current.requestsPerMinute);
      current = next;
    },
  };
}

const minute = 60_000;
const refusalsAtOnce = 2000;
const refusalsPerSecond = 50;
const lifeFactor = 10;

function count(amount: number, what: string): string {
  return `${amount} ${what}${amount === 1 ? "" : "s"}`;
}

function again(waitMs: number): string {
  return Number.isFinite(waitMs) ? `Try again in ${Math.ceil(waitMs / 1000)} s.` : "It is switched off.";
}
