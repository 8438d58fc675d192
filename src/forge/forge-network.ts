import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { GitSetting } from "./git.ts";

/** How the appliance reaches forges, as `[egress]` of ccw.toml says it: the same for its own requests and for git. */
export interface ForgeNetwork {
  /** URL of the company's proxy, with its credentials; undefined for none. */
  proxy: string | undefined;
  /** PEM of every authority that a forge's certificate may be signed by; undefined for the runtime's own list, or git's. */
  authorities: readonly string[] | undefined;
}

/**
 * For a git that speaks with a forge. The authorities are written to `file`, since git takes them from one, and from no
 * other beside it.
 */
export function gitNetworkSettings({ proxy, authorities }: ForgeNetwork, file: string): GitSetting[] {
  if (authorities !== undefined) {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    writeFileSync(file, authorities.map((pem) => `${pem.trim()}\n`).join(""));
  }
  return [
    ["protocol.allow", "never"],
    ["protocol.https.allow", "always"],
    ["protocol.http.allow", "always"],
    ["http.followRedirects", "false"],
    ...(authorities === undefined ? [] : [["http.sslCAInfo", file] as const]),
    // Servers that pack say so every few seconds.
    ["http.lowSpeedLimit", "1"],
    ["http.lowSpeedTime", "300"],
    ...(proxy === undefined ? [] : [["http.proxy", proxy] as const]),
    // At once, and not after a refusal that not every proxy gives.
    ["http.proxyAuthMethod", "basic"],
  ];
}
