import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { networkInterfaces } from "node:os";
import { CcwError } from "./domain/errors.ts";
import {
  type AddressRange,
  type AddressRules,
  createAddressRules,
  dialledAddress,
  whyNotDialled,
} from "./domain/ip-address.ts";
import type { Reach } from "./forge/lfs-transfer.ts";
import type { UpstreamProxy } from "./gateway/egress/dial.ts";

/** The addresses of a name as this machine's own resolver gives them, /etc/hosts included. */
export async function lookUp(name: string): Promise<string[]> {
  return (await lookup(name, { all: true })).map(({ address }) => address);
}

const interfacesKeptMs = 30_000;

/**
 * Judges addresses against the operator's ranges and this machine's own addresses, which may change while it runs. The
 * appliance's own port is never reached, whatever the ranges say.
 */
export function vetAddresses(options: {
  allowedRanges: readonly AddressRange[];
  ownPort(): number;
  now(): number;
}): (address: string, port: number) => string | undefined {
  const { allowedRanges, ownPort, now } = options;
  let rules: AddressRules | undefined;
  let own = new Set<string>();
  let until = 0;
  return (address, port) => {
    if (rules === undefined || now() >= until) {
      const interfaces = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
      own = new Set(interfaces.filter(({ internal }) => !internal).map((each) => each.address));
      rules = createAddressRules(allowedRanges, [...own]);
      until = now() + interfacesKeptMs;
    }
    if (port === ownPort()) {
      const dialled = dialledAddress(address);
      if (own.has(dialled) || /^(127\.|::1$|0\.|::$)/.test(dialled)) return "the appliance's own";
    }
    return whyNotDialled(address, rules);
  };
}

/**
 * Where a request to an address may go that some server has told the appliance: every address of its name is judged,
 * and the one that was is dialled. With a proxy that looks names up itself, by the name.
 */
export function createReach(options: {
  whyNot: (address: string, port: number) => string | undefined;
  proxyResolves: boolean;
  lookup?: (name: string) => Promise<string[]>;
  /** What is thrown for an address that `whyNot` objects to. */
  forbidden?: (host: string, why: string) => CcwError;
}): Reach {
  const { whyNot, proxyResolves, lookup = lookUp, forbidden = forgeNames } = options;
  return async ({ protocol, hostname, host, port }) => {
    const number = port === "" ? (protocol === "https:" ? 443 : 80) : Number(port);
    const literal = hostname.replace(/^\[|\]$/g, "");
    const isAddress = isIP(literal) !== 0;
    if (!isAddress && proxyResolves) return undefined;
    const addresses = isAddress ? [literal] : await lookup(hostname).catch(() => []);
    if (addresses.length === 0)
      throw new CcwError("unavailable", `${host} cannot be looked up.`, "Try again.");
    const reasons = addresses.map((address) => whyNot(address, number));
    const reason = reasons.find((each) => each !== undefined);
    if (reason === undefined) return addresses[0];
    throw forbidden(host, reason);
  };
}

const forgeNames = (host: string, why: string) =>
  new CcwError(
    "forbidden",
    `The forge names ${host}, which the appliance does not reach: ${why}.`,
    "If it is meant, the operator lists its addresses in ccw.toml: `allowed_ranges` under [egress].",
  );

/** `http://user:password@proxy.example:3128`, as the settings have it. */
export function upstreamProxyOf(
  setting: { url: string; resolves: boolean } | undefined,
): UpstreamProxy | undefined {
  if (setting === undefined) return undefined;
  const { hostname, port, username, password } = new URL(setting.url);
  const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return {
    hostname: hostname.replace(/^\[|\]$/g, ""),
    port: port === "" ? 80 : Number(port),
    authorization:
      username === "" && password === "" ? undefined : `Basic ${Buffer.from(credentials).toString("base64")}`,
    resolves: setting.resolves,
  };
}
