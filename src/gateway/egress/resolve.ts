import { messageOf } from "../../domain/errors.ts";
import type { Host } from "../../domain/host.ts";
import { type Refusal, refusalOf } from "./refusal.ts";

/** Addresses of a name; rejects where there are none. */
export type Lookup = (name: string) => Promise<string[]>;

export interface Resolver {
  /** Addresses that may be dialled, in the order to try; a name is looked up once. */
  resolve(
    host: Host,
    port: number,
  ): Promise<{ ok: true; addresses: string[] } | { ok: false; refusal: Refusal }>;
}

export interface ResolverOptions {
  lookup: Lookup;
  /** What an address and port are that may not be dialled; undefined where they may. */
  whyNot(address: string, port: number): string | undefined;
  now(): number;
}

/** How long an answer serves; a short time, so that a name that moves is followed. */
const keepMs = 10_000;
const maxKept = 2000;
const lookupMs = 5000;
/** Of one name; more are not tried. */
const maxAddresses = 8;

/**
 * Every address is judged after the lookup, each time it is used: a name that is allowed says nothing about where it
 * points. What is dialled is the address that was judged here, never the name again.
 */
export function createResolver({ lookup, whyNot, now }: ResolverOptions): Resolver {
  const kept = new Map<string, { until: number; addresses: Promise<string[]> }>();

  const addressesOf = (name: string): Promise<string[]> => {
    const found = kept.get(name);
    if (found !== undefined && found.until > now()) return found.addresses;
    const addresses = inTime(lookup(name), lookupMs);
    kept.delete(name);
    kept.set(name, { until: now() + keepMs, addresses });
    if (kept.size > maxKept) kept.delete(kept.keys().next().value ?? "");
    addresses.catch(() => kept.delete(name));
    return addresses;
  };

  return {
    async resolve(host, port) {
      let all: string[];
      try {
        all = host.kind === "address" ? [host.text] : await addressesOf(host.text);
      } catch (thrown) {
        const refusal =
          thrown instanceof LookupTimeout
            ? refusalOf("timeout", `the look-up of ${host.text} took too long`)
            : refusalOf("name-not-found", `the name ${host.text} has no address (${codeOf(thrown)})`);
        return { ok: false, refusal };
      }
      const judged = all.map((address) => ({ address, why: whyNot(address, port) }));
      const addresses = judged.flatMap(({ address, why }) => (why === undefined ? [address] : []));
      if (addresses.length > 0) return { ok: true, addresses: addresses.slice(0, maxAddresses) };
      const first = judged[0];
      if (first === undefined)
        return { ok: false, refusal: refusalOf("name-not-found", `the name ${host.text} has no address`) };
      const what = `${first.why} (${first.address}), which no sandbox may reach unless the operator lists the range`;
      return {
        ok: false,
        refusal: refusalOf(
          "address-not-allowed",
          host.kind === "address"
            ? `this address is ${what}`
            : `${host.text} points to an address that is ${what}`,
        ),
      };
    },
  };
}

class LookupTimeout extends Error {}

async function inTime<Value>(work: Promise<Value>, ms: number): Promise<Value> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new LookupTimeout()), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

function codeOf(thrown: unknown): string {
  const code = thrown instanceof Error && "code" in thrown ? String(thrown.code) : messageOf(thrown);
  return code.replace(/^(DNS_|EAI_)/, "").slice(0, 60);
}
