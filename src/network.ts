import { lookup } from "node:dns/promises";
import { networkInterfaces } from "node:os";
import type { Config } from "./config.ts";
import {
  type AddressRange,
  type AddressRules,
  createAddressRules,
  dialledAddress,
  whyNotDialled,
} from "./domain/ip-address.ts";
import type { ForgeNetwork } from "./forge/forge-fetch.ts";
import { readAuthorities } from "./gateway/egress/authorities.ts";
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

/** How the appliance itself reaches forges: by the same proxy and authorities as what passes through it. */
export function forgeNetworkOf({ egress }: Pick<Config, "egress">): ForgeNetwork {
  const { trusted, local } = readAuthorities(egress.caFile);
  return {
    proxy: egress.upstreamProxy?.url,
    // The runtime has the public ones by itself, and reads a list anew for each connection.
    authorities: local.length === 0 ? undefined : [...new Set(trusted)],
  };
}
